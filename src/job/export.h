#pragma once

#include "job/job.h"

extern const Tool export_tool;
