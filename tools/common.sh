# What tools/quickstart, tools/test and .ci/run share; sourced, not run. Expects `log` to name a file for noisy output.
# Runs on a minimal Debian: bash, coreutils, grep, sed and awk, nothing else until packages are installed.

export LC_ALL=C
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$*"; }

# fail WHAT [WHAT TO DO]...: each on its own line, and the end of the script.
fail() {
  printf '\n%s: %s\n' "$(basename "$0")" "$1" >&2
  shift
  local advice
  for advice in "$@"; do printf '  %s\n' "$advice" >&2; done
  exit 1
}

# packages_of SECTION...: the packages of these sections of packages.txt.
packages_of() {
  local section
  for section in "$@"; do awk -v section="$section" '$1 == section {print $2}' "$root/packages.txt"; done
}

missing_packages() {
  local package
  for package in $(packages_of "$@"); do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || printf '%s ' "$package"
  done
}

# need_packages SECTION...: installs what is missing of these sections, or says how and stops.
need_packages() {
  local missing
  command -v apt-get >/dev/null || fail "this machine has no apt-get, so packages cannot be installed here" \
    "Use Debian 12 or 13, or build by hand with what packages.txt lists (README.md says how)."
  missing=$(missing_packages "$@")
  [[ -n $missing ]] || return 0
  if [[ $EUID -ne 0 ]]; then
    fail "some packages are missing, and installing them needs root. Run this, then $(basename "$0") again:" \
      "sudo apt-get update && sudo apt-get install -y --no-install-recommends $missing"
  fi
  # shellcheck disable=SC2086  # one word a package
  step "installing $(wc -w <<<"$missing") packages" install_packages $missing
}

install_packages() {
  apt-get update
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

# Prints how far the running step is: every second over the same line for a person, else a line every 20 seconds.
# Ends by itself when the script does. Sleeps apart from the script's output, so that nobody waits for that to close.
watch_step() {
  local title=$1 began=$SECONDS pause=20 progress
  [[ ! -t 1 ]] || pause=1
  while sleep "$pause" >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
    progress=$(tail -n 1 "$log" 2>/dev/null | grep -o '^\[[0-9]*/[0-9]*\]' || true)
    if [[ -t 1 ]]; then
      printf '\r%s ... %d s %s ' "$title" $((SECONDS - began)) "$progress"
    else
      say "$title ... $((SECONDS - began)) s $progress"
    fi
  done
}

# step TITLE COMMAND...: says what happens and how long it took. The command's own output goes to the log, whose
# end is shown when it fails.
step() {
  local title=$1 began=$SECONDS watcher status=0
  shift
  say "$title ..."
  watch_step "$title" &
  watcher=$!
  printf '\n== %s: %s\n' "$title" "$*" >>"$log"
  "$@" >>"$log" 2>&1 </dev/null || status=$?
  kill "$watcher" && wait "$watcher" 2>/dev/null || true
  [[ ! -t 1 ]] || printf '\r\033[K'
  if [[ $status -ne 0 ]]; then
    tail -n 40 "$log" >&2
    fail "$title failed after $((SECONDS - began)) s" "The lines above are the end of $log."
  fi
  say "$title: done in $((SECONDS - began)) s"
}

# As many compilers at once as there are cores and one more, and as fit into memory at 1 GiB each.
build_jobs() {
  awk -v cores="$(nproc)" '/^MemAvailable:/ {fit = int($2 / 1048576)}
    END {jobs = cores + 1; if (fit < jobs) jobs = fit; print jobs < 1 ? 1 : jobs}' /proc/meminfo
}

# build PRESET [TARGET]: compiles what configuring prepared.
build() {
  local preset=$1
  shift
  step "building $preset" cmake --build "$root/build/$preset" --parallel "$(build_jobs)" ${1:+--target "$1"}
}

# configure PRESET [-DNAME=VALUE]...
configure() {
  local preset=$1
  shift
  step "configuring $preset" cmake -S "$root" --preset "$preset" "$@"
}
