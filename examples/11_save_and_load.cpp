// SPDX-License-Identifier: MIT
// What layers learned goes into a file by its names, and comes back bit by bit.
#include <heed/layers.hpp>

#include <cstdio>
#include <cstring>
#include <fstream>

namespace {

// A line with name and size, then the numbers as they stand in memory.
template <class P>
void save(std::ostream& out, const P& parameters) {
    const auto write = [&](const std::string& name, const auto& t) {
        out << name << ' ' << t.size() << '\n';
        out.write(reinterpret_cast<const char*>(t.data()), std::streamsize(sizeof(float)) * t.size());
    };
    heed::for_each_parameter(write, parameters);
}
// Into a layer made with the same config. False from the first tensor on that is not the one in the file.
template <class P>
bool load(std::istream& in, P& parameters) {
    const auto read = [&](const std::string& name, auto& t) {
        std::string line;
        if (!std::getline(in, line) || line != name + ' ' + std::to_string(t.size()))
            in.setstate(std::ios::failbit);
        in.read(reinterpret_cast<char*>(t.data()), std::streamsize(sizeof(float)) * t.size());
    };
    heed::for_each_parameter(read, parameters);
    return bool(in);
}

}  // namespace

int main() {
    const char* const path = "11_save_and_load.bin";
    heed::encoder_layer<float> layer({.attention = {.width = 32, .heads = 4}}, 1), loaded(layer.config(), 2);
    heed::rep_batch_norm<float> norm({.width = 32, .steps = 100, .start = 0.5}), loaded_norm(norm.config());
    Eigen::Tensor<float, 3, Eigen::RowMajor> x(2, 5, 32);
    x.setRandom();
    heed::rep_batch_norm<float>::tape tape;
    norm.forward(x, tape), norm.advance();  // a training step moves the running statistics
    {
        std::ofstream out(path, std::ios::binary);
        save(out, layer.weights), save(out, norm.weights);
        save(out, norm.running);  // this norm needs these beside its weights, and its step
        out << norm.step() << '\n';
    }
    std::ifstream in(path, std::ios::binary);
    heed::index step = 0;
    const bool fits = load(in, loaded.weights) && load(in, loaded_norm.weights) &&
                      load(in, loaded_norm.running) && in >> step;
    loaded_norm.set_step(step);
    std::remove(path);
    const auto y = norm(layer(x)), again = loaded_norm(loaded(x));
    const bool same = fits && loaded_norm.lambda() == norm.lambda() && norm.lambda() < 0.5 &&
                      std::memcmp(y.data(), again.data(), sizeof(float) * std::size_t(y.size())) == 0;
    std::printf("saved and loaded: %s\n", same ? "the same bits" : "something else");
    return same ? 0 : 1;
}
