#include "accuracy.h"
#include "classify.h"
#include "detect.h"
#include "doctor.h"
#include "export.h"
#include "job/job.h"
#include "nms.h"
#include "plan.h"
#include "train.h"

const Tool *const *job_tools(size_t *count)
{
  static const Tool *const tools[] = {&export_tool, &train_tool,    &classify_tool, &detect_tool,
                                      &nms_tool,    &accuracy_tool, &plan_tool,     &doctor_tool};
  *count = sizeof tools / sizeof *tools;
  return tools;
}
