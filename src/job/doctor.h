#pragma once

#include "job/job.h"

extern const Tool doctor_tool;
