# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# install_missing: sees that a compiler, CMake and the three libraries are there, installing with the
# system's package manager what is not. Sourced by scripts/run.

say() { printf 'heed: %s\n' "$*" >&2; }

# Libraries are looked for as headers, so that one installed by hand or in CMAKE_PREFIX_PATH counts.
has_header() {
  local prefix
  for prefix in ${CMAKE_PREFIX_PATH:+${CMAKE_PREFIX_PATH//[:;]/ }} /usr /usr/local /opt/homebrew /opt/local; do
    if [ -e "$prefix/include/$1" ]; then return 0; fi
  done
  return 1
}

has() {
  case $1 in
    compiler) command -v "${CXX:-c++}" >/dev/null ;;
    cmake) command -v cmake >/dev/null ;;
    ninja) command -v ninja >/dev/null || command -v make >/dev/null ;;
    eigen) has_header eigen3/Eigen/Core ;;
    catch) has_header catch2/catch.hpp || has_header catch2/catch_all.hpp ;;
    benchmark) has_header benchmark/benchmark.h ;;
  esac
}

# package MANAGER THING: what the manager calls it
package() {
  case $1:$2 in
    apt:compiler) echo g++ ;;
    apt:ninja) echo ninja-build ;;
    apt:eigen) echo libeigen3-dev ;;
    apt:catch) echo catch2 ;;
    apt:benchmark) echo libbenchmark-dev ;;
    dnf:compiler) echo gcc-c++ ;;
    dnf:ninja) echo ninja-build ;;
    dnf:eigen) echo eigen3-devel ;;
    dnf:catch) echo catch-devel ;;
    dnf:benchmark) echo google-benchmark-devel ;;
    brew:compiler) echo gcc ;;
    brew:catch) echo catch2 ;;
    brew:benchmark) echo google-benchmark ;;
    *) echo "$2" ;;
  esac
}

manager() {
  if command -v apt-get >/dev/null; then echo apt
  elif command -v dnf >/dev/null; then echo dnf
  elif command -v brew >/dev/null; then echo brew
  fi
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif ! command -v sudo >/dev/null; then
    say "not root, and there is no sudo"
    return 1
  elif [ -t 0 ]; then
    sudo "$@"
  else
    sudo -n "$@" # nobody is there to type a password
  fi
}

apt_install() {
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0)
  # A fresh machine has no lists; an old one may have lists of packages that are gone.
  if ! ls /var/lib/apt/lists/*Packages* >/dev/null 2>&1; then
    as_root "${apt[@]}" update || return 1
  fi
  as_root "${apt[@]}" install -y --no-install-recommends "$@" ||
    { as_root "${apt[@]}" update && as_root "${apt[@]}" install -y --no-install-recommends "$@"; }
}

install_with() {
  local manager=$1
  shift
  case $manager in
    apt) apt_install "$@" ;;
    dnf) as_root dnf install -y "$@" ;;
    brew) brew install "$@" ;;
    *) return 1 ;;
  esac
}

# A distribution without one of the libraries must not cost us the compiler.
install_one_by_one() {
  local manager=$1 name
  shift
  for name; do
    install_with "$manager" "$name" || say "could not install $name with $manager"
  done
}

install_missing() {
  local manager thing missing=() packages=()
  manager=$(manager)
  for thing in compiler cmake ninja eigen catch benchmark; do
    if ! has "$thing"; then
      missing+=("$thing")
      packages+=("$(package "$manager" "$thing")")
    fi
  done
  if [ ${#missing[@]} = 0 ]; then return; fi

  if [ -z "$manager" ]; then
    say "missing: ${missing[*]}. No apt, dnf or brew here to install them with."
  elif [ "$manager" != brew ] && ! as_root true; then
    say "cannot install anything; as an administrator run: $manager install ${packages[*]}"
  else
    say "installing ${packages[*]} ($manager)"
    install_with "$manager" "${packages[@]}" || install_one_by_one "$manager" "${packages[@]}"
  fi
  if ! has compiler || ! has cmake || ! has ninja; then
    say "a C++20 compiler, CMake 3.23 and Ninja or make must be there: install them and run this again."
    exit 1
  fi
  # Without the libraries CMake downloads their sources, which needs only git and a network.
}
