#!/bin/bash -eu
# Builds every fuzz target into $OUT, with its seeds and dictionary; CC, CFLAGS and
# LIB_FUZZING_ENGINE come from the environment, as OSS-Fuzz and ClusterFuzzLite set them.
tree=$(dirname "$(realpath "${BASH_SOURCE[0]}")")/..
[ -f "$tree/fuzz/CMakeLists.txt" ] || tree=${SRC:?}/powercut # a copy beside the tree, in the image
cd "$tree"
build=${WORK:-$PWD/build}/oss-fuzz
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DFUZZ_LINK="$LIB_FUZZING_ENGINE"
cmake --build "$build" -j "$(nproc)" --target fuzz_targets
for program in "$build"/bin/*_fuzz; do
    name=$(basename "$program" _fuzz)
    cp "$program" "$OUT/" && zip -qj "$OUT/${name}_fuzz_seed_corpus.zip" fuzz/"$name"_seeds/*
    [ ! -f "fuzz/$name.dict" ] || cp "fuzz/$name.dict" "$OUT/${name}_fuzz.dict"
done
