// Products with a dictionary of bits, by lookup; see lookup.cpp.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#define INLINE static inline __attribute__((always_inline))

namespace {

#ifdef __AVX512F__
constexpr int WIDTH = 16;  // of a vector
#else
constexpr int WIDTH = 8;
#endif
constexpr int LANES = 32;
constexpr int BITS = 4, ENTRIES = 1 << BITS, GROUPS = 32 / BITS;  // a word of 32 bits looks up 8 entries
constexpr int TABLE = GROUPS * ENTRIES * LANES;                   // of the entries of one word

typedef float Vec __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));
typedef int32_t Ints __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));

INLINE Vec load(const float* x) { return *(const Vec*)x; }
INLINE void store(float* x, Vec v) { *(Vec*)x = v; }

// exp(x), 0 < exp(x) < inf, as 2^k exp(r) with |r| <= log(2) / 2 and a polynomial of degree 7 for exp(r)
INLINE Vec exponential(Vec x) {
    x = x < -87.0f ? Vec{} - 87.0f : x;
    x = x > 88.0f ? Vec{} + 88.0f : x;
    const Vec shifted = x * 1.44269504f + 12582912.0f;  // 1.5 * 2^23: k is in the last bits
    const Vec k = shifted - 12582912.0f, r = (x - k * 0.693359375f) + k * 2.12194440e-4f;
    Vec e = Vec{} + 1.0f / 5040;
    const float factors[] = {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f};
    for (float factor : factors) e = e * r + factor;
    return e * (Vec)(((Ints)shifted << 23) + (127 << 23));
}

INLINE float add_up(Vec x) {
    float total = 0;
    for (int i = 0; i < WIDTH; i++) total += x[i];
    return total;
}

INLINE float largest(Vec x) {
    float most = x[0];
    for (int i = 1; i < WIDTH; i++) most = x[i] > most ? x[i] : most;
    return most;
}

// The signed sums of 32 rows (32, LANES): entry e of group g has row 4 g + b negative where bit b of e is not set.
INLINE void tabulate(const float* rows, float* table) {
    for (int g = 0; g < GROUPS; g++)
        for (int h = 0; h < LANES; h += WIDTH) {
            Vec row[BITS];
            for (int b = 0; b < BITS; b++) row[b] = load(rows + (BITS * g + b) * LANES + h);
            for (int e = 0; e < ENTRIES; e++) {
                const Vec low = (e & 2 ? row[1] : -row[1]) + (e & 1 ? row[0] : -row[0]);
                const Vec high = (e & 8 ? row[3] : -row[3]) + (e & 4 ? row[2] : -row[2]);
                store(table + (ENTRIES * g + e) * LANES + h, high + low);
            }
        }
}

// Where the entries for a word are in its table, in bytes; the same for all panels.
typedef uint16_t Entries[GROUPS];

INLINE void locate(uint32_t word, Entries entries) {
    for (int g = 0; g < GROUPS; g++) {
        const uint32_t entry = ENTRIES * g + (word >> BITS * g & (ENTRIES - 1));
        entries[g] = entry * LANES * sizeof(float);
    }
}

// Adds to out (count, LANES) the products of the signs in words with the rows that were tabulated.
void look_up(float* __restrict__ out, const float* __restrict__ table, const Entries* entries, int64_t count) {
    for (int64_t j = 0; j < count; j++, out += LANES) {
        const float* entry[GROUPS];
        for (int g = 0; g < GROUPS; g++) entry[g] = (const float*)((const char*)table + entries[j][g]);
        for (int h = 0; h < LANES; h += WIDTH) {
            const Vec a = (load(entry[0] + h) + load(entry[1] + h)) + (load(entry[2] + h) + load(entry[3] + h));
            const Vec b = (load(entry[4] + h) + load(entry[5] + h)) + (load(entry[6] + h) + load(entry[7] + h));
            store(out + h, load(out + h) + (a + b));
        }
    }
}

// The matrix of 32 x 32 bits whose row i is words[i] transposed in place.
INLINE void transpose(uint32_t* words) {
    uint32_t mask = 0x0000FFFF;
    for (int j = 16; j; j >>= 1, mask ^= mask << j)
        for (int k = 0; k < 32; k = ((k | j) + 1) & ~j) {
            const uint32_t swap = (words[k] >> j ^ words[k | j]) & mask;
            words[k] ^= swap << j;
            words[k | j] ^= swap;
        }
}

// The codes of one thread, in tiles of `width`, and memory to compute in. The logits of the first `kept` tiles stay in
// `logits` (kept + 1, rows, width, LANES); those of the others are computed again by each sweep.
struct Shard {
    const uint32_t* words;  // (count, stride): the bits of this shard's codes
    int64_t stride, count;
    const float* tables;  // (rows, count, TABLE) of the embeddings
    int64_t views, panels, codes, width, kept;
    float* logits;
    Entries* entries;  // (width rounded up to 32, count)
    float* sums;       // (32 count, LANES)
};

// A tile of logits (views, panels, width, LANES), of which the first `codes` are used.
struct Tile {
    float* z;
    int64_t views, panels, width, start, codes;

    Vec logit(int64_t row, int64_t j, int h) const { return load(z + (row * width + j) * LANES + h); }
};

void multiply(const Shard& shard, const Tile& tile) {
    Entries* entries = shard.entries;
    for (int64_t k = 0; k < shard.count; k++) {
        const uint32_t* words = shard.words + k * shard.stride + tile.start;
        for (int64_t j = 0; j < tile.codes; j++) locate(words[j], entries[k * tile.codes + j]);
    }
    for (int64_t row = 0; row < tile.views * tile.panels; row++) {
        float* out = tile.z + row * tile.width * LANES;
        memset(out, 0, tile.codes * LANES * sizeof(float));
        for (int64_t k = 0; k < shard.count; k++)
            look_up(out, shard.tables + (row * shard.count + k) * TABLE, entries + k * tile.codes, tile.codes);
    }
}

// The k-th tile; `first`: this is the first sweep, and no tile was computed yet.
Tile tile_of(const Shard& shard, int64_t k, bool first) {
    const int64_t start = k * shard.width, size = shard.views * shard.panels * shard.width * LANES;
    const Tile tile = {shard.logits + std::min(k, shard.kept) * size, shard.views, shard.panels, shard.width, start,
                       std::min(shard.width, shard.codes - start)};
    if (first || k >= shard.kept) multiply(shard, tile);
    return tile;
}

// gradient (views, panels, 32 count, LANES) += the product of dz with the codes.
void multiply_back(const Shard& shard, const Tile& dz, float* gradient) {
    const int64_t rows = 32 * shard.count;
    for (int64_t block = 0; block < dz.codes; block += 32)
        for (int64_t k = 0; k < shard.count; k++) {
            uint32_t square[32] = {};
            const uint32_t* words = shard.words + k * shard.stride + dz.start + block;
            std::copy(words, words + std::min<int64_t>(32, dz.codes - block), square);
            transpose(square);
            for (int64_t i = 0; i < 32; i++) locate(square[i], shard.entries[block * shard.count + k * 32 + i]);
        }
    float table[TABLE], rest[32 * LANES];
    for (int64_t row = 0; row < dz.views * dz.panels; row++) {
        memset(shard.sums, 0, rows * LANES * sizeof(float));
        for (int64_t block = 0; block < dz.codes; block += 32) {
            const float* here = dz.z + (row * dz.width + block) * LANES;
            if (dz.codes - block < 32) {
                memset(rest, 0, sizeof(rest));
                memcpy(rest, here, (dz.codes - block) * LANES * sizeof(float));
                here = rest;
            }
            tabulate(here, table);
            look_up(shard.sums, table, shard.entries + block * shard.count, rows);
        }
        float* out = gradient + row * rows * LANES;
        for (int64_t i = 0; i < rows * LANES; i++) out[i] += shard.sums[i];
    }
}

}  // namespace
