#include "confusion.h"

static double ratio(int64_t part, int64_t whole)
{
  return whole == 0 ? 0 : (double)part / (double)whole;
}

ClassScore confusion_score(Confusion confusion, int32_t class_index)
{
  ClassScore score = {0};
  const int64_t right = confusion.counts[class_index * confusion.class_count + class_index];
  for (int32_t c = 0; c < confusion.class_count; ++c) {
    score.label_count += confusion.counts[class_index * confusion.class_count + c];
    score.prediction_count += confusion.counts[c * confusion.class_count + class_index];
  }
  score.precision = ratio(right, score.prediction_count);
  score.recall = ratio(right, score.label_count);
  score.f1 = ratio(2 * right, score.label_count + score.prediction_count);
  score.iou = ratio(right, score.label_count + score.prediction_count - right);
  return score;
}

double confusion_accuracy(Confusion confusion)
{
  int64_t right = 0;
  int64_t all = 0;
  for (int32_t label = 0; label < confusion.class_count; ++label)
    for (int32_t c = 0; c < confusion.class_count; ++c) {
      const int64_t count = confusion.counts[label * confusion.class_count + c];
      all += count;
      right += label == c ? count : 0;
    }
  return ratio(right, all);
}

double confusion_kappa(Confusion confusion)
{
  double by_chance = 0, all = 0;
  for (int32_t c = 0; c < confusion.class_count; ++c) {
    const ClassScore score = confusion_score(confusion, c);
    by_chance += (double)score.label_count * (double)score.prediction_count;
    all += (double)score.label_count;
  }
  by_chance /= all * all;
  return (confusion_accuracy(confusion) - by_chance) / (1 - by_chance);
}

static double mean_of(Confusion confusion, int32_t first, double (*score_of)(ClassScore))
{
  double sum = 0;
  int32_t count = 0;
  for (int32_t c = first; c < confusion.class_count; ++c) {
    const ClassScore score = confusion_score(confusion, c);
    if (score.label_count + score.prediction_count == 0) continue;
    sum += score_of(score);
    ++count;
  }
  return count == 0 ? 0 : sum / count;
}

static double iou_of(ClassScore score)
{
  return score.iou;
}

static double f1_of(ClassScore score)
{
  return score.f1;
}

double confusion_mean_iou(Confusion confusion, int32_t first)
{
  return mean_of(confusion, first, iou_of);
}

double confusion_mean_f1(Confusion confusion, int32_t first)
{
  return mean_of(confusion, first, f1_of);
}

static Status report_class(Confusion confusion, const char *name, int32_t index, Document *list)
{
  const ClassScore score = confusion_score(confusion, index);
  Document *object;
  TRY(document_add_object(list, &object));
  TRY(document_set_text(object, "name", name));
  TRY(document_set_real(object, "precision", score.precision));
  TRY(document_set_real(object, "recall", score.recall));
  TRY(document_set_real(object, "f1", score.f1));
  TRY(document_set_real(object, "iou", score.iou));
  TRY(document_set_int(object, "label_pixels", score.label_count));
  return document_set_int(object, "predicted_pixels", score.prediction_count);
}

Status confusion_report(Confusion confusion, const char *const *names, Document *object)
{
  Document *list;
  TRY(document_set_real(object, "accuracy", confusion_accuracy(confusion)));
  TRY(document_set_real(object, "mean_iou", confusion_mean_iou(confusion, 0)));
  TRY(document_set_list(object, "classes", &list));
  for (int32_t c = 0; c < confusion.class_count; ++c)
    TRY(report_class(confusion, names[c], c, list));
  return document_set_ints(object, "confusion", confusion.counts,
                           (size_t)confusion.class_count * (size_t)confusion.class_count);
}
