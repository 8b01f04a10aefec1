#include "accuracy_report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { CLASSES_SHOWN_MOST = 100, COLUMNS_MOST = 2 };

static void print_found(const char *name, const FoundSummary *found)
{
  printf("%-24s %9.4f %9.4f %9.4f ", name, found->precision, found->recall, found->f1);
  if (isnan(found->ap))
    printf("%9s", "-");
  else
    printf("%9.4f", found->ap);
  printf(" %13" PRId64 " %14" PRId64 " %14" PRId64 "\n", found->true_positive,
         found->false_positive, found->false_negative);
}

static Status set_found(Document *object, const FoundSummary *found)
{
  TRY(document_set_real(object, "precision", found->precision));
  TRY(document_set_real(object, "recall", found->recall));
  TRY(document_set_real(object, "f1_score", found->f1));
  TRY(document_set_real(object, "ap", found->ap));
  TRY(document_set_int(object, "true_positive", found->true_positive));
  TRY(document_set_int(object, "false_positive", found->false_positive));
  return document_set_int(object, "false_negative", found->false_negative);
}

static const char *shown(const char *name)
{
  return *name == '\0' ? "-" : name;
}

Status accuracy_report_found(FoundScore *score, int32_t class_count, const char *const *names,
                             const char *title, Document *report, const char *key)
{
  FoundSummary found;
  Document *object, *all, *list, *one;
  TRY(document_set_object(report, key, &object));
  TRY(document_set_object(object, "all", &all));
  TRY(document_set_list(object, "classes", &list));
  printf("\n%-24s %9s %9s %9s %9s %13s %14s %14s\n", title, "Precision", "Recall", "F1_Score", "AP",
         "True_Positive", "False_Positive", "False_Negative");
  for (int32_t c = 0; c < class_count; ++c) {
    TRY(found_score_summary(score, c, &found));
    TRY(document_add_object(list, &one));
    TRY(document_set_text(one, "class", names[c]));
    TRY(set_found(one, &found));
    if (c < CLASSES_SHOWN_MOST) print_found(shown(names[c]), &found);
  }
  TRY(found_score_summary(score, -1, &found));
  print_found("all", &found);
  return set_found(all, &found);
}

/* A figure of a summary, and when it is told. */
typedef struct Figure {
  const char *key;
  const char *words;
  bool of_sizes, of_limits;
} Figure;

enum { FIGURE_COUNT = 12 };

static const Figure figures[FIGURE_COUNT] = {
    {"ap", "AP, IoU 0.50 to 0.95", false, false},
    {"ap50", "AP50", false, false},
    {"ap75", "AP75", false, false},
    {"ap_small", "AP small", true, false},
    {"ap_medium", "AP medium", true, false},
    {"ap_large", "AP large", true, false},
    {"ar1", "AR1", false, true},
    {"ar10", "AR10", false, true},
    {"ar100", "AR100", false, false},
    {"ar_small", "AR small", true, false},
    {"ar_medium", "AR medium", true, false},
    {"ar_large", "AR large", true, false},
};

static double figure_of(const DetectionSummary *summary, int index)
{
  const double all[FIGURE_COUNT] = {summary->ap,       summary->ap50,      summary->ap75,
                                    summary->ap_small, summary->ap_medium, summary->ap_large,
                                    summary->ar[0],    summary->ar[1],     summary->ar[2],
                                    summary->ar_small, summary->ar_medium, summary->ar_large};
  return all[index];
}

static bool is_told(int index, bool sizes, bool limits)
{
  return (sizes || !figures[index].of_sizes) && (limits || !figures[index].of_limits);
}

/* Without limits there is one recall. */
static const char *key_of(int index, bool limits)
{
  return !limits && index == 8 ? "ar" : figures[index].key;
}

static Status set_summary(Document *object, const DetectionSummary *summary, bool sizes,
                          bool limits)
{
  for (int i = 0; i < FIGURE_COUNT; ++i)
    if (is_told(i, sizes, limits))
      TRY(document_set_real(object, key_of(i, limits), figure_of(summary, i)));
  TRY(document_set_int(object, "detections", summary->detection_count));
  return document_set_int(object, "truths", summary->truth_count);
}

static Status set_column(const CocoColumn *column, int32_t class_count, const char *const *names,
                         bool sizes, bool limits, Document *report, DetectionSummary *all)
{
  DetectionSummary summary;
  Document *object, *mean, *list, *one;
  TRY(document_set_object(report, column->key, &object));
  TRY(document_set_object(object, "all", &mean));
  TRY(document_set_list(object, "classes", &list));
  for (int32_t c = 0; c < class_count; ++c) {
    TRY(detection_score_summary(column->score, c, &summary));
    TRY(document_add_object(list, &one));
    TRY(document_set_text(one, "class", names[c]));
    TRY(set_summary(one, &summary, sizes, limits));
  }
  TRY(detection_score_summary(column->score, -1, all));
  return set_summary(mean, all, sizes, limits);
}

static void print_classes(const CocoColumn *columns, int column_count, int32_t class_count,
                          const char *const *names)
{
  DetectionSummary summary;
  for (int32_t c = 0; c < class_count && c < CLASSES_SHOWN_MOST && class_count > 1; ++c) {
    printf("AP of %-18s", shown(names[c]));
    for (int i = 0; i < column_count; ++i)
      if (detection_score_summary(columns[i].score, c, &summary) == STATUS_OK)
        printf(" %9.4f", summary.ap);
    printf("\n");
  }
}

Status accuracy_report_coco(const CocoColumn *columns, int column_count, int32_t class_count,
                            const char *const *names, bool sizes, bool limits, Document *report)
{
  Document *coco;
  DetectionSummary all[COLUMNS_MOST];
  TRY(document_set_object(report, "coco", &coco));
  for (int i = 0; i < column_count; ++i)
    TRY(set_column(&columns[i], class_count, names, sizes, limits, coco, &all[i]));
  printf("\n%-24s", "COCO");
  for (int i = 0; i < column_count; ++i)
    printf(" %9s", columns[i].key);
  printf("\n");
  for (int f = 0; f < FIGURE_COUNT; ++f) {
    if (!is_told(f, sizes, limits)) continue;
    printf("%-24s", !limits && f == 8 ? "AR" : figures[f].words);
    for (int i = 0; i < column_count; ++i)
      printf(" %9.4f", figure_of(&all[i], f));
    printf("\n");
  }
  print_classes(columns, column_count, class_count, names);
  return STATUS_OK;
}
