#pragma once

#include "mask_runs.h"
#include "store/document.h"

/* What COCO's JSON files say of objects in images: annotations (the truth) and results. Read as
 * pycocotools reads them. */
typedef struct CocoImage {
  int64_t id;
  int32_t height_px, width_px; /* 0 where the file does not say */
} CocoImage;

enum { COCO_NAME_BYTES = 96 };

typedef struct CocoCategory {
  int64_t id;
  char name[COCO_NAME_BYTES]; /* the id where there is none */
} CocoCategory;

typedef struct CocoObject {
  int64_t image;    /* a place among the images */
  int32_t category; /* a place among the categories */
  int64_t order;    /* in the file */
  double score;     /* of results */
  double area_px;   /* as the file says of the truth; of results that of the box, else the mask */
  DetectionBox box; /* if has_boxes */
  MaskRuns mask;    /* if has_masks */
  bool crowd;
} CocoObject;

typedef struct CocoObjects {
  CocoObject *items; /* by image, category, order */
  int64_t count;
  int64_t elsewhere; /* left out: of an image or a category that is not listed */
  bool has_boxes;
  bool has_masks;
} CocoObjects;

typedef struct CocoSet {
  CocoImage *images; /* by id */
  int64_t image_count;
  CocoCategory *categories; /* by id */
  int32_t category_count;
} CocoSet;

/* Whether a document is COCO's annotations: an object with the keys images and annotations. */
bool coco_is_truth(const Document *document);

/* Images and categories. set is ended by coco_set_free in any case. name: what sentences call the
 * file. Errors: STATUS_BAD_INPUT, also for an id that is there twice. */
Status coco_set_read(const Document *truth, const char *name, CocoSet *set);
void coco_set_free(CocoSet *set);

/* objects is ended by coco_objects_free in any case. What the file's first object has decides on
 * boxes and masks; all others must have it, too; a file without objects has both. wants_masks: else
 * they are passed over where there are boxes. Where results have masks but no boxes, the masks'
 * are taken. A segmentation is a list of polygons, a list of
 * runs or a text of runs. Errors: STATUS_BAD_INPUT; STATUS_MISMATCH for a result of an image
 * that is not in the truth. */
Status coco_truth_read(const Document *truth, const char *name, const CocoSet *set,
                       bool wants_masks, CocoObjects *objects);
Status coco_results_read(const Document *results, const char *name, const CocoSet *set,
                         CocoObjects *objects);
void coco_objects_free(CocoObjects *objects);
