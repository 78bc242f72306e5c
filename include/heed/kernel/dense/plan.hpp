// SPDX-License-Identifier: MIT
// heed/kernel/dense/plan.hpp: how a dense product is cut into tasks
//
// Tasks are tiles of c; a lane packs what its tile needs, so nobody waits. Bits do not depend on the tiles,
// which may therefore depend on the number of lanes.
#pragma once

#include <heed/kernel/dense/problem.hpp>
#include <heed/kernel/scratch.hpp>

namespace heed::inline HEED_ABI::detail {

// Up to as many rows, b is read where it stands if its columns are neighbours.
inline constexpr index few_rows = 8;
// Rows of a that are packed or fetched together.
inline constexpr index fetched_rows = 64;
// Bytes of b that are packed at a time: a part of the second-level cache. And of a row's sums.
inline constexpr index strip_bytes = 384 * 1024;
inline constexpr index row_sums_bytes = 8192;

inline index parts_of(index n, index part) { return (n + part - 1) / part; }

// `n` things in parts of whole units, as alike as may be.
struct even_parts {
    index n = 0;
    index unit = 1;
    index parts = 1;
    index begin(index part) const { return least(n, parts_of(n, unit) * part / parts * unit); }
    index longest() const { return least(n, parts_of(parts_of(n, unit), parts) * unit); }
};

struct dense_plan {
    bool few;
    index lanes;
    even_parts rows;
    even_parts columns;
};

// Of numbers of `bytes` each, given the leaves' panels.
inline dense_plan plan_of(index rows, index terms, index columns, index bytes, index row_panel,
                          index column_panel, bool few, bool packs_rows, index lanes) {
    dense_plan p{few, 1, {rows, row_panel, 1}, {columns, few ? index{64} : column_panel, 1}};
    // A lane that had less than 64^3 multiply-adds would cost more than it brings.
    p.lanes = least(lanes, parts_of(rows * columns, 64) * parts_of(terms, 64) / 64 + 1);
    const index widest = few                    ? row_sums_bytes / bytes
                         : rows <= 2 * few_rows ? column_panel
                                                : strip_bytes / (depth_block * bytes);
    const index row_units = few ? 1 : parts_of(rows, row_panel);
    const index units = parts_of(columns, p.columns.unit);
    const index fewest = parts_of(units, widest / p.columns.unit);
    double best = 0;
    for (index high = 1; high <= least(p.lanes, row_units); ++high)
        // As few strips of columns as may be, and enough to give each lane as many tiles.
        for (index wide :
             {fewest, least(units, parts_of(parts_of(fewest * high, p.lanes) * p.lanes, high))}) {
            const double tall = double(rows) / double(high);
            const double broad = double(columns) / double(wide);
            // Packing a number costs as much as 20 multiply-adds, reading one of a where it stands 3.
            const double cost = double(parts_of(high * wide, p.lanes)) *
                                (tall * broad + 20 * broad + (packs_rows ? 20 : 3) * tall);
            if (best != 0 && cost >= best) continue;
            best = cost;
            p.rows.parts = high;
            p.columns.parts = wide;
        }
    return p;
}

}  // namespace heed::inline HEED_ABI::detail
