#include "op/box_lists.h"

#include <math.h>

#include "support/check.h"
#include "support/golden.h"

enum { ROWS = 24, CODES = 2 }; /* of the golden coders */

static void expect_near(const char *what, int64_t row, const float *got, const double *expected)
{
  for (int k = 0; k < 4; ++k)
    if (!(fabs((double)got[k] - expected[k]) <= 2e-6 * fmax(1.0, fabs(expected[k]))))
      fail_msg("%s, row %d, [%d]: %.9g, expected %.9g", what, (int)row, k, (double)got[k],
               expected[k]);
}

static Box golden_box(const GoldenTensor *tensor, int64_t row)
{
  const double *v = tensor->values + 4 * row;
  return (Box){(float)v[0], (float)v[1], (float)v[2], (float)v[3]};
}

static BoxCode golden_code(const GoldenTensor *tensor, int64_t row)
{
  const Box box = golden_box(tensor, row);
  return (BoxCode){box.x1, box.y1, box.x2, box.y2};
}

static void codes_become_the_boxes_of_torchvision_and_back(void **state)
{
  Golden *golden = golden_open("op_proposals.txt");
  const float size[2] = {90, 120};
  for (int i = 0; i < 2; ++i) {
    const BoxCode weights = i == 0 ? rpn_weights() : box_head_weights();
    const GoldenTensor *boxes = golden_find(golden, "coder%d.boxes", i);
    for (int64_t row = 0; row < ROWS * CODES; ++row) {
      const BoxCode code = golden_code(golden_find(golden, "coder%d.deltas", i), row);
      const Box box = box_decode(golden_box(boxes, row / CODES), code, weights);
      const Box clipped = box_clip(box, size);
      expect_near("decoded", row, &box.x1,
                  golden_find(golden, "coder%d.decoded", i)->values + 4 * row);
      expect_near("clipped", row, &clipped.x1,
                  golden_find(golden, "coder%d.clipped", i)->values + 4 * row);
    }
    for (int64_t row = 0; row < ROWS; ++row) {
      const BoxCode code =
          box_encode(golden_box(boxes, row),
                     golden_box(golden_find(golden, "coder%d.truths", i), row), weights);
      expect_near("encoded", row, &code.x,
                  golden_find(golden, "coder%d.encoded", i)->values + 4 * row);
    }
  }
  golden_close(golden);
}

static void anchors_are_those_of_torchvision(void **state)
{
  Golden *golden = golden_open("op_proposals.txt");
  for (int i = 0; i < 4; ++i) {
    const GoldenTensor *row = golden_find(golden, "anchors%d.case", i);
    const GoldenTensor *maps = golden_find(golden, "anchors%d.maps", i);
    const GoldenTensor *places = golden_find(golden, "anchors%d.places", i);
    Shape logits[5], deltas[5];
    for (int m = 0; m < 5; ++m) {
      logits[m] = (Shape){1, (int32_t)maps->values[2 * m], (int32_t)maps->values[2 * m + 1], 3,
                          ELEMENT_F32};
      deltas[m] = logits[m];
      deltas[m].channels = 12;
    }
    Rpn rpn;
    CHECK_OK(rpn_plan((RpnOptions){.height_px = (int32_t)row->values[0],
                                   .width_px = (int32_t)row->values[1],
                                   .sizes_px = {32, 64, 128, 256, 512},
                                   .ratios = {0.5F, 1, 2},
                                   .ratio_count = 3},
                      5, logits, deltas, &rpn));
    assert_int_equal(rpn_anchor_count(&rpn), (int64_t)row->values[2]);
    for (int64_t p = 0; p < places->count; ++p) {
      const AnchorPlace place = anchor_place(&rpn, (int64_t)places->values[p]);
      const Box box = anchor_box(&rpn, place);
      for (int k = 0; k < 4; ++k)
        assert_true((double)(&box.x1)[k] ==
                    golden_find(golden, "anchors%d.boxes", i)->values[4 * p + k]);
    }
  }
  golden_close(golden);
}

/* Two images of two maps, 2 x 3 and 1 x 2 px, three anchors, four channels of logits. */
static void anchors_find_their_elements(void **state)
{
  const Rpn rpn = {.images = 2,
                   .map_count = 2,
                   .anchor_count = 3,
                   .logit_channels = 4,
                   .delta_channels = 16,
                   .maps = {{.height = 2, .width = 3}, {.height = 1, .width = 2}}};
  const AnchorPlace last_of_first = anchor_place(&rpn, 17), last = anchor_place(&rpn, 23);
  assert_int_equal(last_of_first.map, 0);
  assert_int_equal(anchor_logit(&rpn, 1, last_of_first), (6 + 5) * 4 + 2);
  assert_int_equal(last.map, 1);
  assert_int_equal(anchor_logit(&rpn, 0, last), 4 + 2);
  assert_int_equal(anchor_delta(&rpn, 1, last), (2 + 1) * 16 + 8);
}

static void overlap_is_a_share_of_the_union(void **state)
{
  const Box whole = {0, 0, 2, 1}, half = {1, 0, 2, 1}, beside = {2, 0, 3, 1}, none = {1, 1, 1, 1};
  assert_true(box_iou(whole, half) == 0.5F);
  assert_true(box_iou(whole, beside) == 0.0F);
  assert_true(box_iou(whole, none) == 0.0F);
  assert_true(isnan(box_iou(none, none)));
}

static void clipping_leaves_a_nan(void **state)
{
  const Box box = box_clip((Box){NAN, -1, 5, 7}, (float[]){6, 4});
  assert_true(isnan(box.x1) && box.y1 == 0 && box.x2 == 4 && box.y2 == 6);
  assert_false(box_has_sides(box, 0));
}

static void keys_have_the_order_of_numbers(void **state)
{
  const float rising[] = {-INFINITY, -3e38F, -1, -1e-44F, 0, 1e-44F, 1, 3e38F, INFINITY};
  for (int i = 0; i < 9; ++i) {
    assert_true(order_value(order_key(rising[i])) == rising[i]);
    assert_true(order_key(rising[i]) > (i == 0 ? order_key(NAN) : order_key(rising[i - 1])));
  }
  assert_int_equal(order_key(-0.0F), order_key(0.0F));
  assert_int_equal(order_key(-NAN), 0);
  assert_true(order_of(0.5F, 3) > order_of(0.5F, 4));
  assert_true(order_of(0.5F, 4) > order_of(0.25F, 3));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(codes_become_the_boxes_of_torchvision_and_back),
      cmocka_unit_test(anchors_are_those_of_torchvision),
      cmocka_unit_test(anchors_find_their_elements),
      cmocka_unit_test(overlap_is_a_share_of_the_union),
      cmocka_unit_test(clipping_leaves_a_nan),
      cmocka_unit_test(keys_have_the_order_of_numbers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
