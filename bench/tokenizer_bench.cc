// How fast a folder's tokenizer encodes, by CPU time of one thread, as one line of JSON. The text
// is given, or words and numbers drawn at random like those of prose.
//
//   bench_tokenizer FOLDER [TEXT_FILE]
#include <cstdio>
#include <ctime>
#include <random>
#include <string>

#include "base/atomic_file.h"
#include "data/tokenizers/tokenizer.h"

namespace {

// Words of Zipf-like frequency: few come often, many seldom.
std::string Prose(size_t bytes) {
  std::mt19937_64 random(1);
  std::string text;
  while (text.size() < bytes) {
    const double u = std::uniform_real_distribution<double>(0, 1)(random);
    std::mt19937_64 word(static_cast<uint64_t>(50'000 * u * u * u * u));
    const size_t letters = 1 + word() % 11;
    for (size_t i = 0; i < letters; ++i) text.push_back(static_cast<char>('a' + word() % 26));
    switch (random() % 12) {
      case 0:
        text += ", ";
        break;
      case 1:
        text += ".\n";
        break;
      case 2:
        text += " " + std::to_string(random() % 1000) + " ";
        break;
      default:
        text += ' ';
    }
  }
  return text;
}

// Of this thread: what other processes take of the machine does not count.
double CpuSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: bench_tokenizer FOLDER [TEXT_FILE]\n");
    return 2;
  }
  const auto tokenizer = ponder::data::LoadTokenizer(argv[1]);
  const absl::StatusOr<std::string> text =
      argc > 2 ? ponder::ReadFile(argv[2]) : absl::StatusOr<std::string>(Prose(8 << 20));
  for (const absl::Status& status : {tokenizer.status(), text.status()}) {
    if (status.ok()) continue;
    std::fprintf(stderr, "bench_tokenizer: %s\n", std::string(status.message()).c_str());
    return 1;
  }
  const double start = CpuSeconds();
  const auto ids = (*tokenizer)->Encode(*text, /*add_special=*/false);
  const double seconds = CpuSeconds() - start;
  if (!ids.ok()) {
    std::fprintf(stderr, "bench_tokenizer: %s\n", std::string(ids.status().message()).c_str());
    return 1;
  }
  const double decoding = CpuSeconds();
  const size_t decoded = (*tokenizer)->Decode(*ids, /*skip_special=*/false).size();
  const double decode_seconds = CpuSeconds() - decoding;
  const double megabytes = static_cast<double>(text->size()) / 1e6;
  std::printf(
      "{\"tokenizer\": \"%s\", \"bytes\": %zu, \"tokens\": %zu, \"encode_mb_per_s\": %.2f, "
      "\"decoded_bytes\": %zu, \"decode_mb_per_s\": %.2f}\n",
      argv[1], text->size(), ids->size(), megabytes / seconds, decoded, megabytes / decode_seconds);
  return 0;
}
