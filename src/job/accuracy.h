#pragma once

#include "job/job.h"

extern const Tool accuracy_tool;
