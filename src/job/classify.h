#pragma once

#include "job/job.h"

extern const Tool classify_tool;
