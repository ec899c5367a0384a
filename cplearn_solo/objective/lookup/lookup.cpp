// The objective's sweeps over codes, from the bits of the dictionary.
//
// Products use the method of four Russians: the 16 signed sums of each four rows are tabulated once, and the logit of a
// code is the sum of f / 4 entries that the code's bits select. Samples are the lanes of vectors: an array of one
// number per sample is (views, panels, LANES), with sample i in lane i % LANES of panel i / LANES, and a tile of logits
// is (views, panels, width, LANES). Lanes beyond the last sample have embeddings of zero and infinite shifts.

#include "lookup.h"

#include <cmath>
#include <vector>

namespace {

constexpr int64_t BLOCK = 64;  // codes that are summed first, since long sums in float lose accuracy

void largest_logits(const Tile& tile, float* top, int32_t* code) {
    for (int64_t row = 0; row < tile.views * tile.panels; row++)
        for (int h = 0; h < LANES; h += WIDTH) {
            Vec most = tile.logit(row, 0, h);
            Ints best = {};
            for (int64_t j = 1; j < tile.codes; j++) {
                const Vec here = tile.logit(row, j, h);
                best = here > most ? Ints{} + (int32_t)j : best;
                most = here > most ? here : most;
            }
            store(top + row * LANES + h, most);
            if (row < tile.panels) *(Ints*)(code + row * LANES + h) = best;
        }
}

// sums (views + count, panels, LANES): of exp(z - top), and for each of `terms` (count, 2) of views a, b that of
// exp(z_a - top_a) (z_b - top_b).
void add_exponentials(const Tile& tile, const float* top, const int32_t* terms, int64_t count, float* sums) {
    const int64_t views = tile.views, panels = tile.panels;
    std::vector<float> d(views * WIDTH), e(views * WIDTH), part((views + count) * WIDTH), whole(part.size());
    for (int64_t panel = 0; panel < panels; panel++)
        for (int h = 0; h < LANES; h += WIDTH) {
            std::fill(whole.begin(), whole.end(), 0.0f);
            for (int64_t first = 0; first < tile.codes; first += BLOCK) {
                std::fill(part.begin(), part.end(), 0.0f);
                for (int64_t j = first; j < std::min(first + BLOCK, tile.codes); j++) {
                    for (int64_t v = 0; v < views; v++) {
                        const int64_t row = v * panels + panel;
                        const Vec x = tile.logit(row, j, h) - load(top + row * LANES + h), y = exponential(x);
                        store(&d[v * WIDTH], x);
                        store(&e[v * WIDTH], y);
                        store(&part[v * WIDTH], load(&part[v * WIDTH]) + y);
                    }
                    for (int64_t t = 0; t < count; t++) {
                        const Vec product = load(&e[terms[2 * t] * WIDTH]) * load(&d[terms[2 * t + 1] * WIDTH]);
                        float* out = &part[(views + t) * WIDTH];
                        store(out, load(out) + product);
                    }
                }
                for (size_t i = 0; i < whole.size(); i++) whole[i] += part[i];
            }
            for (int64_t i = 0; i < views + count; i++)
                store(sums + (i * panels + panel) * LANES + h, load(&whole[i * WIDTH]));
        }
}

// log sum_i p_ij of one code of a view; `shift` (panels, LANES): log-sum-exp z.
float log_column(const Tile& tile, int64_t view, int64_t j, const float* shift) {
    Vec high = Vec{} - 3e38f, total = {};
    for (int64_t i = 0; i < tile.panels * LANES; i += WIDTH) {
        const Vec log_p = tile.logit(view * tile.panels + i / LANES, j, i % LANES) - load(shift + i);
        high = log_p > high ? log_p : high;
    }
    const float top = largest(high);
    for (int64_t i = 0; i < tile.panels * LANES; i += WIDTH)
        total += exponential(tile.logit(view * tile.panels + i / LANES, j, i % LANES) - load(shift + i) - top);
    return top + std::log(add_up(total));
}

// grad_sum (LANES) += sum_j g_ij of one panel for `log_ratio` (codes) = log(pbar / q): g = p log_ratio for the reverse
// prior loss and -p q / pbar for the forward one.
void add_grad_sums(const Tile& tile, int64_t row, const float* shift, const float* log_ratio, bool reverse,
                   float* grad_sum) {
    for (int h = 0; h < LANES; h += WIDTH) {
        Vec whole = {};
        for (int64_t first = 0; first < tile.codes; first += BLOCK) {
            Vec part = {};
            for (int64_t j = first; j < std::min(first + BLOCK, tile.codes); j++) {
                const Vec log_p = tile.logit(row, j, h) - load(shift + h);
                part += reverse ? exponential(log_p) * log_ratio[j] : -exponential(log_p - log_ratio[j]);
            }
            whole += part;
        }
        store(grad_sum + h, load(grad_sum + h) + whole);
    }
}

// Inputs of dloss / dz besides logits: `top`, `shift`, `constant` of samples (views, panels, LANES), `log_ratio` =
// log(pbar / q) of codes (views, stride), and `paired` (views, views), 1 where two views are paired and 0 elsewhere.
struct Weights {
    const float *top, *shift, *log_ratio;
    int64_t stride;
    const float *constant, *paired;
    float beta;
    bool reverse;
};

// Logits of a panel's samples in all views become dloss / dz up to constant factors, which is
// p_a (constant_a - beta sum_b (z_b - top_b)) + k g_a - beta sum_b p_b with sums over the k views b paired with a.
void differentiate(const Tile& tile, int64_t panel, int h, const Weights& w) {
    const int64_t views = tile.views;
    std::vector<float> d(views * WIDTH), p(views * WIDTH);
    for (int64_t j = 0; j < tile.codes; j++) {
        for (int64_t a = 0; a < views; a++) {
            const int64_t row = a * tile.panels + panel, sample = row * LANES + h;
            const Vec z = tile.logit(row, j, h);
            store(&d[a * WIDTH], z - load(w.top + sample));
            store(&p[a * WIDTH], exponential(z - load(w.shift + sample)));
        }
        for (int64_t a = 0; a < views; a++) {
            const int64_t row = a * tile.panels + panel, sample = row * LANES + h;
            Vec far = {}, taken = {};
            float others = 0;
            for (int64_t b = 0; b < views; b++) {
                const float paired = w.paired[a * views + b];
                far += load(&d[b * WIDTH]) * paired;
                taken += load(&p[b * WIDTH]) * paired;
                others += paired;
            }
            const float m = w.log_ratio[a * w.stride + tile.start + j];
            const Vec log_p = tile.logit(row, j, h) - load(w.shift + sample), own = load(&p[a * WIDTH]);
            const Vec g = w.reverse ? own * m : -exponential(log_p - m);
            const Vec dz = own * (load(w.constant + sample) - far * w.beta) + g * others - taken * w.beta;
            store(tile.z + (row * tile.width + j) * LANES + h, dz);
        }
    }
}

}  // namespace

extern "C" {

// Tables (count, TABLE) of embeddings (count, 32, LANES).
void tabulate_all(const float* h, float* tables, int64_t count) {
    for (int64_t k = 0; k < count; k++) tabulate(h + k * 32 * LANES, tables + k * TABLE);
}

// The first sweep: of each tile of the shard the largest logits `top` (tiles, views, panels, LANES), of the first view
// with their codes (tiles, panels, LANES), and sums (tiles, views + count, panels, LANES) as in add_exponentials.
void first_sweep(const Shard* shard, const int32_t* terms, int64_t count, float* top, float* sums, int32_t* code) {
    const int64_t samples = shard->panels * LANES;
    for (int64_t k = 0; k * shard->width < shard->codes; k++) {
        const Tile tile = tile_of(*shard, k, true);
        largest_logits(tile, top + k * shard->views * samples, code + k * samples);
        float* sums_here = sums + k * (shard->views + count) * samples;
        add_exponentials(tile, top + k * shard->views * samples, terms, count, sums_here);
    }
}

// The second sweep: log sum_i p_ij (views, stride) of each code, and `grad_sum` (views, panels, LANES) += the sums of
// g. `shift` (views, panels, LANES): log-sum-exp z; log_ratio = log sum_i p_ij - `log_target` (codes).
void second_sweep(const Shard* shard, const float* shift, const float* log_target, bool reverse, float* log_sums,
                  int64_t stride, float* grad_sum) {
    std::vector<float> log_ratio(shard->width);
    for (int64_t k = 0; k * shard->width < shard->codes; k++) {
        const Tile tile = tile_of(*shard, k, false);
        for (int64_t v = 0; v < tile.views; v++) {
            for (int64_t j = 0; j < tile.codes; j++) {
                const float log_sum = log_column(tile, v, j, shift + v * tile.panels * LANES);
                log_sums[v * stride + tile.start + j] = log_sum;
                log_ratio[j] = log_sum - log_target[tile.start + j];
            }
            for (int64_t row = v * tile.panels; row < (v + 1) * tile.panels; row++)
                add_grad_sums(tile, row, shift + row * LANES, log_ratio.data(), reverse, grad_sum + row * LANES);
        }
    }
}

// The third sweep: gradient (views, panels, 32 count, LANES) += dloss / dz W^T up to constant factors.
void third_sweep(const Shard* shard, const float* top, const float* shift, const float* log_ratio, int64_t stride,
                 const float* constant, const float* paired, float beta, bool reverse, float* gradient) {
    const Weights weights = {top, shift, log_ratio, stride, constant, paired, beta, reverse};
    for (int64_t k = 0; k * shard->width < shard->codes; k++) {
        const Tile tile = tile_of(*shard, k, false);
        for (int64_t panel = 0; panel < tile.panels; panel++)
            for (int h = 0; h < LANES; h += WIDTH) differentiate(tile, panel, h, weights);
        multiply_back(*shard, tile, gradient);
    }
}

}
