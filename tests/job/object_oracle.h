#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "object_merge.h"

/* A raster of labels with shapes of all kinds and sizes, and a detector that finds in each tile
 * exactly what is visible of them. */
typedef struct OracleShape {
  int32_t class_index; /* three classes, at random: neighbours may have the same */
  int32_t apart_class; /* another one than all shapes that it touches */
  int64_t area_px;
  double score;
} OracleShape;

typedef struct Oracle {
  int32_t width_px;
  int32_t height_px;
  int32_t *labels; /* height x width; 0: background, else number of a shape */
  int32_t shape_count;
  OracleShape *shapes; /* 1 … shape_count */
} Oracle;

/* longest_px: of the largest shapes. At least 160 px on each side. The same seed gives the same raster. */
void oracle_draw(uint64_t seed, int32_t width_px, int32_t height_px, int32_t longest_px,
                 Oracle *oracle);
/* From a picture drawn by hand: rows of equal length, '.' background, the same letter one shape;
 * all of class 0. */
void oracle_from_text(const char *const *rows, int32_t row_count, Oracle *oracle);
void oracle_close(Oracle *oracle);

typedef enum OracleMode {
  ORACLE_SHAPES,   /* one thing for each shape that a tile sees */
  ORACLE_PIECES_4, /* one for each connected piece of it */
  ORACLE_PIECES_8
} OracleMode;

typedef struct OracleDetector {
  OracleMode mode;
  bool use_apart_class;
  uint64_t noise_seed;    /* of scores and of what follows; 0: none of it */
  double least_score;     /* with noise: scores are from here to 1 */
  int32_t junk_count;     /* as many weak things upon each one found, after all these: shifted,
                             grown, halves, and unions with another one; scores are below
                             ORACLE_JUNK_SCORE */
  double duplicate_share; /* of things found that are found twice */
  double outline_share;   /* of pixels along outlines that are lost, and of those beside them that
                             are gained; another lot in each tile */
  double missed_share;    /* a thing of which a tile sees less is overlooked */
  bool blanket; /* last in each tile, a thing of class ORACLE_BLANKET_CLASS that is all it sees */
} OracleDetector;

enum { ORACLE_BLANKET_CLASS = 99 };
#define ORACLE_JUNK_SCORE 0.1

/* Shows the merge all tiles; returns how many things were found. pass_empty: also those tiles that
 * see nothing. */
int64_t oracle_detect(const Oracle *oracle, const OracleDetector *detector, const TilePlan *plan,
                      bool pass_empty, ObjectMerge *merge);
