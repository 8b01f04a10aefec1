#pragma once

#include "job/job.h"

extern const Tool nms_tool;
