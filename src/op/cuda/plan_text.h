#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Choices of engines as text: a line that says for what they are good, then one per choice, each
 * with a checksum before it. A line that is torn, changed or of another identity is passed over;
 * nothing is an error, since every choice can be made anew. */
enum {
  PLANS_MOST = 4096, /* in a file */
  PLAN_KNOBS_MOST = 48,
  PLAN_KEY_BYTES = 320,     /* with its end */
  PLAN_IDENTITY_BYTES = 256 /* likewise */
};
/* The longest line: the checksum, the key, the engine and its knobs. */
enum { PLAN_LINE_BYTES = 18 + PLAN_KEY_BYTES + 24 + PLAN_KNOBS_MOST * 26 };

/* An engine of cuDNN, as its number and the settings of its knobs. Together with a graph and a
 * device this is all that a plan is made of, so whatever a file says, what runs is an engine for
 * the graph that was asked for. */
typedef struct PlanChoice {
  int64_t engine;
  int32_t knob_count;
  int32_t knobs[PLAN_KNOBS_MOST];
  int64_t values[PLAN_KNOBS_MOST];
} PlanChoice;

bool plan_choice_equal(const PlanChoice *a, const PlanChoice *b);

/* The first line. Returns its length, without the end. identity: one line, shorter than
 * PLAN_IDENTITY_BYTES. */
size_t plan_text_opening(const char *identity, char line[PLAN_LINE_BYTES]);
/* The line of a choice. key: one line without '=', shorter than PLAN_KEY_BYTES. */
size_t plan_text_line(const char *identity, const char *key, const PlanChoice *choice,
                      char line[PLAN_LINE_BYTES]);

/* text: a line without its checksum; it is cut behind the key. False if it is no choice's. */
bool plan_text_read(char *text, PlanChoice *choice);

typedef void PlanVisit(void *context, const char *key, const PlanChoice *choice);

/* Calls visit for each sound line of the first PLANS_MOST, in order. None if the line before them is
 * not that of identity. */
void plan_text_walk(const char *bytes, size_t byte_count, const char *identity, PlanVisit *visit,
                    void *context);
