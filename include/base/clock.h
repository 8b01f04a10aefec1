#pragma once

double clock_seconds(void); /* monotonic, from an arbitrary start */
/* UTC as 2026-01-31T12:00:00Z. */
void clock_utc(char text[21]);
