#include "runnel/sim/pattern.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace runnel::sim {

namespace {
constexpr std::size_t kWords = 512;  ///< of a page of the pattern

/// splitmix64's output function.
constexpr std::uint64_t scattered(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
    z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
    return z ^ (z >> 31);
}

/// As it lies in memory: the lowest octet first, whatever the machine.
constexpr std::uint64_t as_little_endian(std::uint64_t word) {
    return std::endian::native == std::endian::little ? word : std::byteswap(word);
}

/// One page of words, the same for all streams. What makes a page of a stream its own is a key, by which each
/// word is altered: simulated applications spend much of their time here.
constexpr std::array<std::uint64_t, kWords> make_page() {
    std::array<std::uint64_t, kWords> page{};
    for (std::size_t i = 0; i < kWords; ++i) {
        page[i] = as_little_endian(scattered((i + 1) * 0x9e37'79b9'7f4a'7c15));
    }
    return page;
}
constexpr std::array<std::uint64_t, kWords> kPage = make_page();

std::uint64_t key_of(std::uint64_t seed, std::uint64_t page) {
    return as_little_endian(
        scattered((seed + 1) * 0xd605'0fa0'1c37'a1cd + page * 0x9e37'79b9'7f4a'7c15));
}

/// Two words at a time, in whatever registers the processor has for it.
using Pair = std::uint64_t __attribute__((vector_size(16)));
Pair pair_at(const void* place) {
    Pair pair;
    std::memcpy(&pair, place, sizeof pair);
    return pair;
}

std::uint64_t word_at(std::uint64_t seed, std::uint64_t word) {
    return kPage[word % kWords] ^ key_of(seed, word / kWords);
}
std::byte octet_at(std::uint64_t seed, std::uint64_t offset) {
    const auto octets = std::bit_cast<std::array<std::byte, 8>>(word_at(seed, offset / 8));
    return octets[offset % 8];
}

/// [offset, offset + size) as octets before the first whole word, whole words, and octets behind the last.
struct Parts {
    Parts(std::uint64_t offset, std::size_t size)
        : head(std::min<std::size_t>((8 - offset % 8) % 8, size)),
          words((size - head) / 8),
          first((offset + head) / 8) {}
    std::size_t head;
    std::size_t words;
    std::uint64_t first;  ///< number of the first whole word
};

/// `f(index of the first, words of the page, count, key)` for each run of whole words in one page; ends early
/// when `f` returns false.
template <class F>
void each_page(std::uint64_t seed, const Parts& parts, F&& f) {
    for (std::size_t done = 0; done < parts.words;) {
        const std::uint64_t word = parts.first + done;
        const std::size_t count = std::min<std::size_t>(
            parts.words - done, kWords - static_cast<std::size_t>(word % kWords));
        if (!f(parts.head + done * 8, kPage.data() + word % kWords, count,
               key_of(seed, word / kWords))) {
            return;
        }
        done += count;
    }
}
}  // namespace

void fill_pattern(std::uint64_t seed, std::uint64_t offset, MutableBytes out) {
    const Parts parts(offset, out.size());
    const auto fill = [&](std::size_t from, std::size_t to) {
        for (std::size_t i = from; i < to; ++i) {
            out[i] = octet_at(seed, offset + i);
        }
    };
    fill(0, parts.head);
    each_page(seed, parts,
              [&](std::size_t at, const std::uint64_t* page, std::size_t count, std::uint64_t key) {
                  std::byte* to = out.data() + at;
                  std::size_t i = 0;
                  for (; i + 2 <= count; i += 2) {
                      const Pair pair = pair_at(page + i) ^ key;
                      std::memcpy(to + i * 8, &pair, sizeof pair);
                  }
                  for (; i < count; ++i) {
                      const std::uint64_t word = page[i] ^ key;
                      std::memcpy(to + i * 8, &word, 8);
                  }
                  return true;
              });
    fill(parts.head + parts.words * 8, out.size());
}

std::size_t compare_pattern(std::uint64_t seed, std::uint64_t offset, Bytes bytes) {
    const Parts parts(offset, bytes.size());
    const auto compare = [&](std::size_t from, std::size_t to) {
        while (from < to && bytes[from] == octet_at(seed, offset + from)) {
            ++from;
        }
        return from;
    };
    const std::size_t head = compare(0, parts.head);
    if (head != parts.head) {
        return head;
    }
    std::size_t wrong = bytes.size();
    each_page(seed, parts,
              [&](std::size_t at, const std::uint64_t* page, std::size_t count, std::uint64_t key) {
                  const std::byte* from = bytes.data() + at;
                  Pair differs = {};
                  std::size_t i = 0;
                  for (; i + 2 <= count; i += 2) {
                      differs |= pair_at(from + i * 8) ^ pair_at(page + i) ^ key;
                  }
                  std::uint64_t differ = differs[0] | differs[1];
                  for (; i < count; ++i) {
                      std::uint64_t word = 0;
                      std::memcpy(&word, from + i * 8, 8);
                      differ |= word ^ page[i] ^ key;
                  }
                  wrong = differ == 0 ? wrong : compare(at, at + count * 8);
                  return differ == 0;
              });
    return wrong != bytes.size() ? wrong : compare(parts.head + parts.words * 8, bytes.size());
}

}  // namespace runnel::sim
