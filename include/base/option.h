#pragma once

#include <stddef.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/status.h"

/* An option is a row of data. The command line, the job file, --help and validation come from this
 * one table. */
typedef enum OptionType {
  OPTION_TEXT,   /* const char *; "" where not given */
  OPTION_INT,    /* int64_t */
  OPTION_REAL,   /* double */
  OPTION_FLAG,   /* bool; yes/no, true/false, on/off, 1/0; a bare --name means yes */
  OPTION_CHOICE, /* int32_t, the index in choices */
  OPTION_REALS   /* OptionReals: numbers parted by commas or blanks */
} OptionType;

typedef struct OptionReals {
  double *values;
  size_t count;
} OptionReals;

typedef struct Option {
  const char *name;
  OptionType type;
  size_t offset; /* of the field in the tool's struct of options */
  const char
      *preset;      /* the default, as a user would write it; NULL where the option must be given */
  const char *unit; /* "px", "m", …; NULL where it has none */
  double least, most;  /* both 0: no limits; inclusive */
  const char *choices; /* OPTION_CHOICE: words parted by '|' */
  const char *help;    /* one sentence; a line break starts a new line */
} Option;

typedef struct OptionTable {
  const char *tool;
  const char *summary; /* one line: from -> to */
  const char *example; /* a command that works */
  const Option *options;
  size_t count;
} OptionTable;

/* Fills values, the tool's struct, from presets, then the job file's section [tool] (or its keys
 * before any section), then the arguments --name=value or --name value; a later one wins. Text
 * lives in the arena. Errors: STATUS_BAD_OPTION that names the option, its value and what it takes
 * (an unknown name: the nearest known one); STATUS_IO and STATUS_BAD_INPUT for the job file. */
Status options_parse(const OptionTable *table, const char *job_file, int argument_count,
                     char *const *arguments, Arena *arena, void *values);

/* All options with type, unit, default and help, 80 columns. words: what stands between the tool's
 * name and the job file, with a blank behind it; "" for nothing. */
void options_print_help(const OptionTable *table, const char *words, FILE *stream);

/* The value of one option as a user would write it: what goes into logs and provenance. Lives in
 * the arena. */
Status options_format(const OptionTable *table, const void *values, size_t index, Arena *arena,
                      char **text);
