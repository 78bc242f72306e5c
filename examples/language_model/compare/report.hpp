// SPDX-License-Identifier: MIT
// examples/language_model/compare/report.hpp: a comparison as Markdown, as a page with charts, and as JSON
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "results.hpp"

namespace language_model {

struct column {
    std::string title, meaning;
    std::string (*value)(const run_result&, const comparison&);
};
const std::vector<column>& columns();

void write_markdown(std::ostream& out, const comparison& c);
void write_html(std::ostream& out, const comparison& c);
void write_json(std::ostream& out, const comparison& c);

}  // namespace language_model
