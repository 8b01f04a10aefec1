#include "nms_suppress.h"

#include <math.h>
#include <stdio.h>

#include "base/memory.h"
#include "base/random.h"
#include "geo/geo_fixture.h"

enum { COUNT = 300 };

/* A layer with the fields Class and Confidence. */
typedef struct Shape {
  char wkt[400];
  int32_t class_value;
  double confidence; /* NaN: not set */
} Shape;

static void write_shapes(const char *path, const Shape *shapes, int count)
{
  GDALDatasetH dataset = GDALCreate(GDALGetDriverByName("GPKG"), path, 0, 0, 0, GDT_Unknown, NULL);
  OGRLayerH layer = GDALDatasetCreateLayer(dataset, "found", NULL, wkbUnknown, NULL);
  OGRFieldDefnH fields[2] = {OGR_Fld_Create("Class", OFTInteger),
                             OGR_Fld_Create("Confidence", OFTReal)};
  for (int i = 0; i < 2; ++i) {
    assert_int_equal(OGR_L_CreateField(layer, fields[i], 0), OGRERR_NONE);
    OGR_Fld_Destroy(fields[i]);
  }
  (void)GDALDatasetStartTransaction(dataset, 0);
  for (int i = 0; i < count; ++i) {
    OGRFeatureH feature = OGR_F_Create(OGR_L_GetLayerDefn(layer));
    OGRGeometryH geometry = NULL;
    char *wkt = (char *)(uintptr_t)shapes[i].wkt;
    assert_int_equal(OGR_G_CreateFromWkt(&wkt, NULL, &geometry), OGRERR_NONE);
    OGR_F_SetFieldInteger(feature, 0, shapes[i].class_value);
    if (!isnan(shapes[i].confidence)) OGR_F_SetFieldDouble(feature, 1, shapes[i].confidence);
    (void)OGR_F_SetGeometryDirectly(feature, geometry);
    assert_int_equal(OGR_L_CreateFeature(layer, feature), OGRERR_NONE);
    OGR_F_Destroy(feature);
  }
  (void)GDALDatasetCommitTransaction(dataset);
  GDALClose(dataset);
}

static void rectangle(double x, double y, double width, double height, Shape *shape)
{
  (void)snprintf(shape->wkt, sizeof shape->wkt,
                 "POLYGON((%.9g %.9g,%.9g %.9g,%.9g %.9g,%.9g %.9g,%.9g %.9g))", x, y, x + width, y,
                 x + width, y + height, x, y + height, x, y);
}

static void triangle(double x, double y, double width, double height, Shape *shape)
{
  (void)snprintf(shape->wkt, sizeof shape->wkt,
                 "POLYGON((%.9g %.9g,%.9g %.9g,%.9g %.9g,%.9g %.9g))", x, y, x + width, y,
                 x + width / 3, y + height, x, y);
}

static PolygonLayer *open_shapes(const char *name, const Shape *shapes, int count)
{
  char path[FIXTURE_PATH_BYTES];
  PolygonLayer *layer;
  const PolygonLayerOptions plain = {.layer = NULL};
  fixture_path(name, path);
  write_shapes(path, shapes, count);
  CHECK_OK(polygon_layer_open(path, &plain, &layer));
  assert_int_equal(polygon_layer_count(layer), count);
  return layer;
}

static bool before(const PolygonLayer *layer, int64_t a, int64_t b)
{
  const PolygonItem *left = polygon_layer_item(layer, a), *right = polygon_layer_item(layer, b);
  const double left_confidence = isnan(left->confidence) ? -1e30 : left->confidence;
  const double right_confidence = isnan(right->confidence) ? -1e30 : right->confidence;
  if (left_confidence != right_confidence) return left_confidence > right_confidence;
  if (left->area != right->area) return left->area > right->area;
  return a < b;
}

/* From the definition: again and again the best that nobody has judged stays, if it exceeds the
 * limit with none of those that stayed. */
static void suppress_naively(const PolygonLayer *layer, const Shape *shapes, NmsRule rule,
                             bool kept[COUNT])
{
  OGRGeometryH geometries[COUNT];
  bool judged[COUNT] = {false};
  const int count = (int)polygon_layer_count(layer);
  for (int i = 0; i < count; ++i) {
    char *wkt = (char *)(uintptr_t)shapes[i].wkt;
    assert_int_equal(OGR_G_CreateFromWkt(&wkt, NULL, &geometries[i]), OGRERR_NONE);
    kept[i] = false;
  }
  for (int round = 0; round < count; ++round) {
    int best = -1;
    for (int i = 0; i < count; ++i)
      if (!judged[i] && (best < 0 || before(layer, i, best))) best = i;
    judged[best] = kept[best] = true;
    for (int i = 0; i < count && kept[best]; ++i) {
      if (i == best || !kept[i] ||
          (!rule.across_classes && shapes[i].class_value != shapes[best].class_value))
        continue;
      OGRGeometryH shared = OGR_G_Intersection(geometries[i], geometries[best]);
      const double area = OGR_G_Area(shared);
      const double a = OGR_G_Area(geometries[i]), b = OGR_G_Area(geometries[best]);
      const double whole = rule.overlap == NMS_SMALLER ? fmin(a, b) : a + b - area;
      OGR_G_DestroyGeometry(shared);
      if (area > 1e-9 * fmin(a, b) && area / whole > rule.max_overlap) kept[best] = false;
    }
  }
  for (int i = 0; i < count; ++i)
    OGR_G_DestroyGeometry(geometries[i]);
}

/* Confidences in steps of a tenth and sizes in whole units, so that ties of both kinds occur. */
static void draw_shapes(uint64_t seed, Shape shapes[COUNT])
{
  Random random = random_stream(seed, 0);
  for (int i = 0; i < COUNT; ++i) {
    const double x = random_below(&random, 30), y = random_below(&random, 30);
    const double width = 1 + random_below(&random, 12), height = 1 + random_below(&random, 12);
    shapes[i].class_value = (int32_t)random_below(&random, 3);
    shapes[i].confidence = random_below(&random, 20) == 0 ? NAN : random_below(&random, 10) / 10.0;
    if (random_below(&random, 2) == 0)
      rectangle(x, y, width, height, &shapes[i]);
    else
      triangle(x, y, width, height, &shapes[i]);
  }
}

static void what_stays_is_what_the_definition_says(void **state)
{
  static const double limits[3] = {0, 0.2, 0.4};
  for (uint64_t seed = 0; seed < 3; ++seed) {
    Shape shapes[COUNT];
    bool kept[COUNT], wanted[COUNT];
    char name[32];
    draw_shapes(seed, shapes);
    (void)snprintf(name, sizeof name, "random%d.gpkg", (int)seed);
    PolygonLayer *layer = open_shapes(name, shapes, COUNT);
    for (int i = 0; i < 12; ++i) {
      const NmsRule rule = {limits[i % 3], i / 3 % 2 == 0 ? NMS_IOU : NMS_SMALLER, i / 6 == 1};
      int removed = 0;
      CHECK_OK(nms_suppress(layer, rule, kept));
      suppress_naively(layer, shapes, rule, wanted);
      assert_memory_equal(kept, wanted, sizeof kept);
      for (int j = 0; j < COUNT; ++j)
        removed += !kept[j];
      if (removed == 0 || removed > COUNT - 20) fail_msg("rule %d removes %d", i, removed);
    }
    polygon_layer_close(layer);
  }
}

static void suppress_three(const Shape *shapes, NmsRule rule, bool a, bool b, bool c)
{
  bool kept[3];
  PolygonLayer *layer = open_shapes("three.gpkg", shapes, 3);
  CHECK_OK(nms_suppress(layer, rule, kept));
  assert_int_equal(kept[0], a);
  assert_int_equal(kept[1], b);
  assert_int_equal(kept[2], c);
  polygon_layer_close(layer);
}

static void ties_go_to_the_larger_and_then_to_the_first(void **state)
{
  Shape shapes[3] = {{.confidence = 0.5}, {.confidence = 0.5}, {.confidence = 0.5}};
  const NmsRule rule = {.max_overlap = 0};
  rectangle(0, 0, 10, 10, &shapes[0]);
  rectangle(5, 0, 11, 10, &shapes[1]);
  rectangle(5, 5, 10, 10, &shapes[2]);
  suppress_three(shapes, rule, false, true, false);
  rectangle(5, 0, 10, 10, &shapes[1]);
  suppress_three(shapes, rule, true, false, false);
}

static void touching_is_no_overlap_and_one_that_went_suppresses_nobody(void **state)
{
  Shape shapes[3] = {{.confidence = 0.9}, {.confidence = 0.8}, {.confidence = 0.7}};
  const NmsRule rule = {.max_overlap = 0};
  rectangle(0, 0, 10, 10, &shapes[0]);
  rectangle(9, 0, 10, 10, &shapes[1]);
  rectangle(18, 0, 10, 10, &shapes[2]); /* overlaps the second, which goes */
  suppress_three(shapes, rule, true, false, true);
  rectangle(10, 0, 10, 10, &shapes[1]);
  rectangle(20, 0, 10, 10, &shapes[2]);
  suppress_three(shapes, rule, true, true, true);
}

static void the_limit_itself_is_allowed_and_a_fragment_is_found_by_the_smaller(void **state)
{
  Shape shapes[3] = {{.confidence = 0.9}, {.confidence = 0.8}, {.confidence = NAN}};
  rectangle(0, 0, 10, 10, &shapes[0]);
  rectangle(5, 0, 10, 10, &shapes[1]); /* IoU 1/3 */
  rectangle(1, 1, 2, 2, &shapes[2]);   /* IoU 0.04, all of the smaller */
  suppress_three(shapes, (NmsRule){.max_overlap = 1.0 / 3}, true, true, true);
  suppress_three(shapes, (NmsRule){.max_overlap = 0.33}, true, false, true);
  suppress_three(shapes, (NmsRule){.max_overlap = 0.5, .overlap = NMS_SMALLER}, true, true, false);
}

static void a_hundred_thousand_take_seconds(void **state)
{
  enum { MANY = 100000 };
  void *memory;
  int64_t removed = 0;
  CHECK_OK(memory_allocate(MANY, sizeof(Shape), "shapes", &memory));
  Shape *shapes = memory;
  for (int i = 0; i < MANY; ++i) { /* pairs, the second of them weaker */
    const double x = (double)(i / 2 % 250) * 20, y = (double)(i / 500) * 20;
    shapes[i].confidence = i % 2 == 0 ? 0.9 : 0.3;
    triangle(x + i % 2, y, 15, 15, &shapes[i]);
  }
  PolygonLayer *layer = open_shapes("many.gpkg", shapes, MANY);
  memory_free(shapes);
  CHECK_OK(memory_allocate(MANY, sizeof(bool), "kept", &memory));
  bool *kept = memory;
  CHECK_OK(nms_suppress(layer, (NmsRule){.max_overlap = 0.3}, kept));
  for (int i = 0; i < MANY; ++i)
    removed += kept[i] == (i % 2 == 1);
  assert_int_equal(removed, 0);
  memory_free(kept);
  polygon_layer_close(layer);
}

int main(void)
{
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_stays_is_what_the_definition_says),
      cmocka_unit_test(ties_go_to_the_larger_and_then_to_the_first),
      cmocka_unit_test(touching_is_no_overlap_and_one_that_went_suppresses_nobody),
      cmocka_unit_test(the_limit_itself_is_allowed_and_a_fragment_is_found_by_the_smaller),
      cmocka_unit_test(a_hundred_thousand_take_seconds),
  };
  return cmocka_run_group_tests(tests, fixture_start, fixture_end);
}
