#pragma once

#include "job/job.h"

extern const Tool train_tool;
