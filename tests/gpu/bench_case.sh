#!/bin/sh
# bench_case.sh FILE.json COMMAND...: one case of the benchmark; its row in one line, as the suite shows it.
file=$1
shift
"$@" || exit 1
awk '
  function value(line) { sub(/^[^:]*: */, "", line); gsub(/[",]/, "", line); return line }
  function name_of(line) { gsub(/[ "]|:.*/, "", line); return line }
  /^    "ours":/ { ours = value($0) }
  /^    "unit":/ { unit = value($0) }
  /^    "ratio":/ { ratio = value($0) }
  /^    "wanted": \{$/ { is_wanted = 1; next }
  is_wanted && /^    \}/ { is_wanted = 0 }
  is_wanted { wanted = wanted (wanted == "" ? "" : ", ") name_of($0) " " value($0); next }
  /^    "limit":/ { limit = value($0) }
  /^    "busy":/ { busy = value($0) }
  /^    "peer_version":/ { peer = value($0) }
  /^    "peer_failure":/ { failure = value($0) }
  END {
    printf "figure: %.1f %s, %.0f %% of the measured peak, busy %.0f %%", ours, unit, 100 * limit, 100 * busy
    if (ratio != "") printf ", %.2f x %s", ratio, peer
    if (wanted != "") printf " (wanted: %s)", wanted
    if (failure != "") printf ", no peer: %s", failure
    print ""
  }' "$file"
