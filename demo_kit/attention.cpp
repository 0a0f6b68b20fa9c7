// Softmax attention with very narrow heads on a processor, forward and backward, in single precision.
//
// Heads of 8 to 16 numbers are too narrow for the matrix kernels that general attention is made of. Here the loops run
// over the keys, which lie side by side in memory, eight at a time. Layout of q, k, v and out:
// [batch, length, heads, width]; of lse: [batch, heads, queries].
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

// Eight numbers that are computed together; lengths are padded to multiples of eight with keys that get no weight.
typedef float Eight __attribute__((vector_size(32)));
typedef int32_t EightInts __attribute__((vector_size(32)));
constexpr int64_t LANES = 8;

inline Eight load(const float* from) {
    Eight value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

inline void store(float* to, Eight value) { std::memcpy(to, &value, sizeof value); }

inline Eight all(float value) { return Eight{} + value; }

inline float sum(Eight value) {
    float total = 0;
    for (int lane = 0; lane < LANES; ++lane) total += value[lane];
    return total;
}

// exp for x <= 0 by Cody and Waite's reduction and a polynomial of degree 5; relative error under 3e-7.
inline Eight exponential(Eight x) {
    x = x > all(-87.0f) ? x : all(-87.0f);
    const EightInts whole = __builtin_convertvector(x * 1.44269504f - 0.5f, EightInts);  // rounds towards zero
    const Eight turns = __builtin_convertvector(whole, Eight);
    const Eight rest = (x - turns * 0.693359375f) + turns * 2.12194440e-4f;
    Eight y = rest * 1.9875691500e-4f + 1.3981999507e-3f;
    y = y * rest + 8.3334519073e-3f;
    y = y * rest + 4.1665795894e-2f;
    y = y * rest + 1.6666665459e-1f;
    y = y * rest + 5.0000001201e-1f;
    y = y * rest * rest + rest + 1.0f;
    const EightInts bits = (whole + 127) << 23;
    Eight power;
    std::memcpy(&power, &bits, sizeof power);
    return y * power;
}

inline int64_t padded(int64_t length) { return (length + LANES - 1) / LANES * LANES; }

// [length, width] strided by `step` -> [width, padded length]
template <int W>
void turn(const float* from, int64_t step, int64_t length, float* to) {
    for (int64_t j = 0; j < length; ++j)
        for (int d = 0; d < W; ++d) to[d * padded(length) + j] = from[j * step + d];
}

template <int W>
void forward(const float* q, const float* k, const float* v, float* out, float* lse, int64_t batch, int64_t queries,
             int64_t length, int64_t heads) {
    const int64_t step = heads * W, wide = padded(length);
    const float scale = 1.0f / std::sqrt(static_cast<float>(W));
#pragma omp parallel for schedule(static)
    for (int64_t unit = 0; unit < batch * heads; ++unit) {
        const int64_t b = unit / heads, h = unit % heads;
        std::vector<float> room((2 * W + 1) * wide, 0.0f);
        float *keys = room.data(), *values = keys + W * wide, *p = values + W * wide;
        turn<W>(k + b * length * step + h * W, step, length, keys);
        turn<W>(v + b * length * step + h * W, step, length, values);
        for (int64_t i = 0; i < queries; ++i) {
            const int64_t at = (b * queries + i) * step + h * W;
            Eight most = all(-1e30f);
            for (int64_t j = 0; j < wide; j += LANES) {
                Eight score = all(0);
                for (int d = 0; d < W; ++d) score += q[at + d] * scale * load(keys + d * wide + j);
                store(p + j, score);
            }
            for (int64_t j = length; j < wide; ++j) p[j] = -1e30f;
            for (int64_t j = 0; j < wide; j += LANES) {
                const Eight score = load(p + j);
                most = score > most ? score : most;
            }
            float highest = most[0];
            for (int lane = 1; lane < LANES; ++lane) highest = std::max(highest, most[lane]);
            Eight total = all(0), seen[W] = {};
            for (int64_t j = 0; j < wide; j += LANES) {
                const Eight weight = exponential(load(p + j) - highest);
                total += weight;
                for (int d = 0; d < W; ++d) seen[d] += weight * load(values + d * wide + j);
            }
            const float all_weight = sum(total);
            for (int d = 0; d < W; ++d) out[at + d] = sum(seen[d]) / all_weight;
            lse[unit * queries + i] = highest + std::log(all_weight);
        }
    }
}

template <int W>
void backward(const float* q, const float* k, const float* v, const float* out, const float* lse, const float* dout,
              float* dq, float* dk, float* dv, int64_t batch, int64_t queries, int64_t length, int64_t heads) {
    const int64_t step = heads * W, wide = padded(length);
    const float scale = 1.0f / std::sqrt(static_cast<float>(W));
#pragma omp parallel for schedule(static)
    for (int64_t unit = 0; unit < batch * heads; ++unit) {
        const int64_t b = unit / heads, h = unit % heads;
        std::vector<float> room(4 * W * wide, 0.0f);
        float *keys = room.data(), *values = keys + W * wide, *dkeys = values + W * wide, *dvalues = dkeys + W * wide;
        turn<W>(k + b * length * step + h * W, step, length, keys);
        turn<W>(v + b * length * step + h * W, step, length, values);
        for (int64_t i = 0; i < queries; ++i) {
            const int64_t at = (b * queries + i) * step + h * W;
            const float shift = lse[unit * queries + i];
            float delta = 0;
            for (int d = 0; d < W; ++d) delta += dout[at + d] * out[at + d];
            Eight dquery[W] = {};
            for (int64_t j = 0; j < wide; j += LANES) {
                Eight score = all(-shift), toward = all(-delta);
                for (int d = 0; d < W; ++d) {
                    score += q[at + d] * scale * load(keys + d * wide + j);
                    toward += dout[at + d] * load(values + d * wide + j);
                }
                const Eight weight = exponential(score < all(0) ? score : all(0));  // rounding may leave it above zero
                const Eight change = weight * toward;
                for (int d = 0; d < W; ++d) {
                    float *dkey = dkeys + d * wide + j, *dvalue = dvalues + d * wide + j;
                    dquery[d] += change * load(keys + d * wide + j);
                    store(dkey, load(dkey) + change * (q[at + d] * scale));
                    store(dvalue, load(dvalue) + weight * dout[at + d]);
                }
            }
            // Padding has zero keys, which add nothing here; what it did to its own changes is not copied back.
            for (int d = 0; d < W; ++d) dq[at + d] = sum(dquery[d]) * scale;
        }
        for (int64_t j = 0; j < length; ++j)
            for (int d = 0; d < W; ++d) {
                dk[(b * length + j) * step + h * W + d] = dkeys[d * wide + j];
                dv[(b * length + j) * step + h * W + d] = dvalues[d * wide + j];
            }
    }
}

}  // namespace

extern "C" {

// 0, or 1 for a width that is not built in.
int attention_forward(int width, const float* q, const float* k, const float* v, float* out, float* lse, int64_t batch,
                      int64_t queries, int64_t length, int64_t heads) {
    if (width == 8) forward<8>(q, k, v, out, lse, batch, queries, length, heads);
    else if (width == 12) forward<12>(q, k, v, out, lse, batch, queries, length, heads);
    else if (width == 16) forward<16>(q, k, v, out, lse, batch, queries, length, heads);
    else return 1;
    return 0;
}

int attention_backward(int width, const float* q, const float* k, const float* v, const float* out, const float* lse,
                       const float* dout, float* dq, float* dk, float* dv, int64_t batch, int64_t queries, int64_t length,
                       int64_t heads) {
    if (width == 8) backward<8>(q, k, v, out, lse, dout, dq, dk, dv, batch, queries, length, heads);
    else if (width == 12) backward<12>(q, k, v, out, lse, dout, dq, dk, dv, batch, queries, length, heads);
    else if (width == 16) backward<16>(q, k, v, out, lse, dout, dq, dk, dv, batch, queries, length, heads);
    else return 1;
    return 0;
}
}
