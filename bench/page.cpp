// SPDX-License-Identifier: MIT
// bench/page.cpp: the style sheet of every page
#include "page.hpp"

#include "chart.hpp"

namespace heed_bench {
namespace {

constexpr const char* style = R"css(
:root { color-scheme: light dark; --page: #fbfbf9; --ink: #1d1f23; --soft: #686d76; --rule: #e3e3de; --bar: #dbe7fb;
  --c0: #1f6feb; --c1: #d9480f; --c2: #0b7285; --c3: #9c36b5; --c4: #2b8a3e; --c5: #c2255c; --c6: #8f6a00; --c7: #5f3dc4; }
@media (prefers-color-scheme: dark) {
  :root { --page: #15171a; --ink: #e7e8ea; --soft: #9aa0a8; --rule: #2c3036; --bar: #1d3557;
    --c0: #6ea8fe; --c1: #ff9259; --c2: #4dc4d6; --c3: #d98cf0; --c4: #69c77e; --c5: #f783ac; --c6: #dcb53f; --c7: #a594f9; } }
body { margin: 2.5rem auto; max-width: 1180px; padding: 0 1.25rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .2rem; } h2 { font-size: 1.15rem; margin: 2.6rem 0 .4rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .3rem; } p { margin: .3rem 0; } .soft { color: var(--soft); }
.facts { display: flex; flex-wrap: wrap; gap: 1rem 2.6rem; margin: 1.2rem 0; } .facts b { display: block; font-size: 1.25rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 500px), 1fr)); gap: 1.2rem 1.6rem; }
figure { margin: 0; } figcaption { color: var(--soft); } figcaption b { color: var(--ink); }
svg { width: 100%; height: auto; font: 12px system-ui, sans-serif; }
svg .grid { stroke: var(--rule); } svg .tick { fill: var(--soft); } svg .end { text-anchor: end; } svg .middle { text-anchor: middle; }
svg .series polyline { fill: none; stroke: var(--c); stroke-width: 2; stroke-linejoin: round; }
svg .series circle, svg .series text { fill: var(--c); } svg .lead { fill: none; stroke: var(--c); opacity: .45; }
svg .mark line { stroke: var(--c); stroke-dasharray: 2 3; } svg .mark text { fill: var(--c); }
svg .eigen { --c: var(--soft); } svg .eigen polyline { stroke-dasharray: 5 4; }
svg .series polyline.join { stroke-width: 1; opacity: .45; } svg .series circle.hollow { fill: var(--page); stroke: var(--c); stroke-width: 1.5; }
svg .one { stroke: var(--soft); stroke-dasharray: 2 3; }
svg:has(.series:hover) .series:not(:hover) { opacity: .18; }
.s0 { --c: var(--c0); } .s1 { --c: var(--c1); } .s2 { --c: var(--c2); } .s3 { --c: var(--c3); }
.s4 { --c: var(--c4); } .s5 { --c: var(--c5); } .s6 { --c: var(--c6); } .s7 { --c: var(--c7); }
.table { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .28rem .7rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--rule); }
th { font-weight: 600; color: var(--soft); } th:first-child, td:first-child { text-align: left; }
tr.eigen td { color: var(--soft); }
td.share { background: linear-gradient(to right, var(--bar) var(--share), transparent var(--share)); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; } dt { font-weight: 600; } dd { margin: 0; color: var(--soft); }
code { font: .92em ui-monospace, monospace; }
)css";

}  // namespace

std::string page_head(const std::string& title) {
    return "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
           "content=\"width=device-width\"><title>" +
           escaped(title) + "</title><style>" + style + "</style></head><body>\n";
}

}  // namespace heed_bench
