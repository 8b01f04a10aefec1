#include "accuracy_options.h"

#define FIELD(name) offsetof(AccuracyOptions, name)

static const Option options[] = {
    {"result", OPTION_TEXT, FIELD(result), NULL, NULL, 0, 0, NULL,
     "What is judged: polygons of any format that GDAL opens; COCO's results (.json), with boxes "
     "or masks; or a class map."},
    {"truth", OPTION_TEXT, FIELD(truth), NULL, NULL, 0, 0, NULL,
     "What there is: polygons; COCO's annotations (.json) for COCO's results; polygons or a class "
     "map on the same grid for a class map."},
    {"output", OPTION_TEXT, FIELD(output), "", NULL, 0, 0, NULL,
     "Also writes all figures (.json); replaces what is there."},
    {"result_layer", OPTION_TEXT, FIELD(result_layer), "", NULL, 0, 0, NULL,
     "Layer of the result. Empty: the first with features."},
    {"truth_layer", OPTION_TEXT, FIELD(truth_layer), "", NULL, 0, 0, NULL,
     "Layer of the truth. Empty: the first with features."},
    {"detected_class_value_field", OPTION_TEXT, FIELD(detected_class_value_field), "", NULL, 0, 0,
     NULL,
     "Field of the result that holds the class. Empty: Class, Classvalue, class_value, class_id, "
     "Value or class_name; where there is none, or with none, all are one class."},
    {"ground_truth_class_value_field", OPTION_TEXT, FIELD(ground_truth_class_value_field), "", NULL,
     0, 0, NULL,
     "The same for the truth; for a class map as quadrat export's class_field. Classes are the "
     "same if their texts or numbers are."},
    {"confidence_score_field", OPTION_TEXT, FIELD(confidence_score_field), "", NULL, 0, 0, NULL,
     "Field of the result that holds the confidence. Empty: Confidence, confidence_score or score; "
     "where there is none, or with none, the order of features counts."},
    {"min_iou", OPTION_REAL, FIELD(min_iou), "0.5", NULL, 0.01, 1, NULL,
     "A detection is right if its IoU with an object of the truth is at least this."},
    {"mask_features", OPTION_TEXT, FIELD(mask_features), "", NULL, 0, 0, NULL,
     "Polygons: only features that intersect one of them are judged."},
    {"mask_layer", OPTION_TEXT, FIELD(mask_layer), "", NULL, 0, 0, NULL,
     "Layer of the mask. Empty: the first with features."},
    {"cell_size", OPTION_REAL, FIELD(cell_size), "0", "map units", 0, 1e9, NULL,
     "Side of a pixel, for COCO's small, medium and large polygons (32² and 96² px). 0: no such "
     "figures."},
    {"assume_same_crs", OPTION_FLAG, FIELD(assume_same_crs), "no", NULL, 0, 0, NULL,
     "A layer that names no reference system is in the other's."},
};

const OptionTable accuracy_table = {
    "accuracy", "result + truth -> AP, F1, IoU, confusion",
    "quadrat accuracy --result=objects.gpkg --truth=buildings.gpkg --output=accuracy.json", options,
    sizeof options / sizeof *options};
