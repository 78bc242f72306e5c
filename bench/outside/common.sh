# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# For the scripts that time whole programs. Source it; it sets root, eigen, scratch and the functions.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cxx=${CXX:-g++}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
missed=0

# The folder that holds unsupported/Eigen; EIGEN=dir overrides.
eigen=${EIGEN:-}
for candidate in "$(pkg-config --cflags-only-I eigen3 2>/dev/null | sed 's/^-I//; s/ .*//')" \
  /usr/include/eigen3 /usr/local/include/eigen3 /opt/homebrew/include/eigen3; do
  if [ -z "$eigen" ] && [ -e "$candidate/unsupported/Eigen/CXX11/Tensor" ]; then eigen=$candidate; fi
done
if [ -z "$eigen" ]; then
  echo "no Eigen found; set EIGEN to the folder that holds Eigen/ and unsupported/" >&2
  exit 2
fi
includes=(-I"$root/include" -isystem "$eigen")

# One processor for everything that is compared, the first this shell may use.
pinned=()
if command -v taskset >/dev/null; then
  pinned=(taskset -c "$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')")
fi

smaller() { awk -v a="$1" -v b="$2" 'BEGIN { print (b == "" || a + 0 < b + 0) ? a : b }'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f", a / b }'; }

# verdict NAME ">="|"<=" NEEDED FOUND: one line; remembers a miss.
verdict() {
  local met=ok
  awk -v f="$4" -v n="$3" -v how="$2" 'BEGIN { exit !(how == ">=" ? f >= n : f <= n) }' || met=MISS
  if [ $met = MISS ]; then missed=1; fi
  printf '%-58s%12s%12s  %s\n' "$1" "$2 $3" "$4" "$met"
}
unmeasured() { printf '%-58s  not measured: %s\n' "$1" "$2"; }
