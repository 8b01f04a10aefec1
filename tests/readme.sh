#!/usr/bin/env bash
# The tables of options in README.md are what --help says, and its exit codes those of the program: fails where they differ.
#
#   tests/readme.sh [--write] QUADRAT       --write: puts the program's words into README.md
set -euo pipefail
cd "$(dirname "$0")/.."
write=no
if [[ ${1:-} == --write ]]; then
  write=yes
  shift
fi
quadrat=$1

# A row per option, from lines such as "  --name=<type>  (default: x)" and the indented text below them.
table() {
  "$quadrat" "$1" --help | awk '
    function row() {
      if (name == "") return
      gsub(/\|/, "\\|", type)
      printf "| `%s` | %s | %s | %s |\n", name, type, preset, help
    }
    BEGIN { print "| option | value | default | meaning |\n|---|---|---|---|" }
    /^  --/ {
      row()
      line = substr($0, 5)
      name = substr(line, 1, index(line, "=<") - 1)
      rest = substr(line, index(line, "=<") + 2)
      type = rest
      preset = ""
      if (match(rest, />  \(default: .*\)$/)) {
        type = substr(rest, 1, RSTART - 1)
        preset = "`" substr(rest, RSTART + 13, RLENGTH - 14) "`"
      } else if (match(rest, />  \(must be given\)$/)) {
        type = substr(rest, 1, RSTART - 1)
        preset = "**must be given**"
      } else
        sub(/>$/, "", type)
      help = ""
      next
    }
    name != "" && /^      / {
      sub(/^ +/, "")
      gsub(/\|/, "\\|")
      help = help (help == "" ? "" : " ") $0
    }
    END { row() }'
}

# README.md with every part between <!-- options: TOOL --> and <!-- end --> made anew.
renewed() {
  local line inside=no
  while IFS= read -r line; do
    if [[ $line =~ ^"<!-- options: "([a-z]+)" -->"$ ]]; then
      printf '%s\n' "$line"
      table "${BASH_REMATCH[1]}"
      inside=yes
    elif [[ $line == "<!-- end -->" ]]; then
      printf '%s\n' "$line"
      inside=no
    elif [[ $inside == no ]]; then
      printf '%s\n' "$line"
    fi
  done <README.md
}

new=$(mktemp)
trap 'rm -f "$new"' EXIT
renewed >"$new"
if [[ $write == yes ]]; then
  cat "$new" >README.md
  exit 0
fi

status=0
diff README.md "$new" || {
  echo "README.md and --help differ; tests/readme.sh --write QUADRAT puts that right"
  status=1
}
# Every tool of the program has its table.
for tool in $("$quadrat" --help | sed -nE 's/^  ([a-z]+) .* -> .*$/\1/p' | grep -v -e quadrat -e mpirun); do
  grep -q "^<!-- options: $tool -->$" README.md || {
    echo "README.md has no table of the options of $tool"
    status=1
  }
done
# The table of exit codes has the codes that the program says it has.
said=$("$quadrat" --help | tr '\n' ' ' | sed 's/.*Exit codes: //' | grep -oE '[0-9]+ [a-zA-Z]' | cut -d' ' -f1 | sort -n | tr '\n' ' ')
told=$(sed -n '/^## Exit codes/,/^## [^E]/p' README.md | sed -nE 's/^\| ([0-9]+) \|.*/\1/p' | sort -n | tr '\n' ' ')
[[ $said == "$told" ]] || {
  echo "exit codes of --help: $said; of README.md: $told"
  status=1
}
exit $status
