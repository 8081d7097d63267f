#include "moe/safetensors.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <set>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace ponder::moe {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kLengthBytes = 8;
// The format allows four times this; all of DeepSeek-V3 in one file would need a third.
constexpr uint64_t kMaxHeaderBytes = 25'000'000;
constexpr size_t kMaxNameBytes = 500;
constexpr int64_t kMaxDepth = 3;  // {name: {shape: []}}
constexpr char kMetadataKey[] = "__metadata__";

// What a file says, fit for a line of a message.
std::string Quoted(absl::string_view text) {
  constexpr size_t kMost = 200;
  return absl::StrCat(absl::Utf8SafeCHexEscape(text.substr(0, kMost)),
                      text.size() > kMost ? "..." : "");
}

// Bits of one element; 0: no such dtype.
int64_t DTypeBits(absl::string_view name) {
  static constexpr std::pair<absl::string_view, int64_t> kBits[] = {
      {"BOOL", 8}, {"U8", 8},   {"I8", 8},   {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8},
      {"I16", 16}, {"U16", 16}, {"F16", 16}, {"BF16", 16},   {"I32", 32},    {"U32", 32},
      {"F32", 32}, {"F64", 64}, {"I64", 64}, {"U64", 64},
  };
  for (const auto& [known, bits] : kBits) {
    if (name == known) return bits;
  }
  return 0;
}

// The header as JSON. Nesting is bounded before the parser sees the text.
absl::StatusOr<Json> ParseHeader(absl::string_view text) {
  int64_t depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth)
        return absl::DataLossError(absl::StrCat("the header is nested deeper than ", kMaxDepth));
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  std::vector<std::set<std::string>> keys_of_level;
  std::string duplicate;
  const auto watch_keys = [&](int, Json::parse_event_t event, Json& value) {
    using Event = Json::parse_event_t;
    if (event == Event::object_start) keys_of_level.emplace_back();
    if (event == Event::object_end) keys_of_level.pop_back();
    if (event == Event::key && !keys_of_level.back().insert(value.get<std::string>()).second) {
      duplicate = value.get<std::string>();
    }
    return true;
  };
  Json header = Json::parse(text.begin(), text.end(), watch_keys, /*allow_exceptions=*/false);
  if (!header.is_object()) return absl::DataLossError("the header is not a JSON object");
  if (!duplicate.empty())
    return absl::DataLossError(absl::StrCat("the header names ", Quoted(duplicate), " twice"));
  return header;
}

absl::StatusOr<SafetensorsTensor> ParseTensor(const std::string& name, const Json& entry) {
  SafetensorsTensor tensor;
  tensor.name = name;
  if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") ||
      !entry.contains("shape") || !entry.contains("data_offsets")) {
    return absl::DataLossError("expected dtype, shape and data_offsets");
  }
  if (entry["dtype"].is_string()) tensor.dtype = entry["dtype"].get<std::string>();
  const int64_t bits = DTypeBits(tensor.dtype);
  if (bits == 0)
    return absl::DataLossError(absl::StrCat("unknown dtype ", Quoted(entry["dtype"].dump())));
  constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();
  const auto is_size = [](const Json& number) {
    return number.is_number_unsigned() && number.get<uint64_t>() <= kMost;
  };
  const Json& shape = entry["shape"];
  if (!shape.is_array() || !absl::c_all_of(shape, is_size)) {
    return absl::DataLossError("shape must be a list of sizes");
  }
  uint64_t bytes = static_cast<uint64_t>(bits / 8);
  for (const Json& dim : shape) {
    const uint64_t size = dim.get<uint64_t>();
    if (size > 0 && bytes > kMost / size) {
      return absl::DataLossError(absl::StrCat("impossible shape ", Quoted(shape.dump())));
    }
    bytes *= size;
    tensor.shape.push_back(static_cast<int64_t>(size));
  }
  const Json& offsets = entry["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2 || !absl::c_all_of(offsets, is_size)) {
    return absl::DataLossError("data_offsets must be two byte positions");
  }
  tensor.begin = offsets[0].get<uint64_t>();
  tensor.end = offsets[1].get<uint64_t>();
  if (tensor.end < tensor.begin || tensor.end - tensor.begin != bytes) {
    return absl::DataLossError(absl::StrCat("data_offsets ", offsets.dump(), " don't fit ", bytes,
                                            " bytes of ", tensor.dtype, Quoted(shape.dump())));
  }
  return tensor;
}

}  // namespace

absl::StatusOr<SafetensorsFile> ParseSafetensorsHeader(absl::string_view bytes) {
  uint64_t header_bytes = 0;
  if (bytes.size() < kLengthBytes) return absl::DataLossError("the file is too short for a header");
  for (size_t i = 0; i < kLengthBytes; ++i) {
    header_bytes |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
  }
  if (header_bytes > kMaxHeaderBytes || header_bytes > bytes.size() - kLengthBytes) {
    return absl::DataLossError(
        absl::StrCat("the header claims ", header_bytes, " bytes of a file of ", bytes.size()));
  }
  PONDER_ASSIGN_OR_RETURN(const Json header, ParseHeader(bytes.substr(kLengthBytes, header_bytes)));
  SafetensorsFile file;
  file.data_begin = kLengthBytes + header_bytes;
  for (const auto& [name, entry] : header.items()) {
    if (name == kMetadataKey) continue;
    if (name.size() > kMaxNameBytes || absl::c_any_of(name, absl::ascii_iscntrl)) {
      return absl::DataLossError(
          absl::StrCat("tensor ", Quoted(name), " has a name that no tensor has"));
    }
    auto tensor = ParseTensor(name, entry);
    if (!tensor.ok()) return Annotate(tensor.status(), absl::StrCat("tensor ", Quoted(name)));
    file.tensors.push_back(*std::move(tensor));
  }
  absl::c_stable_sort(file.tensors, [](const SafetensorsTensor& a, const SafetensorsTensor& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  const uint64_t data_bytes = bytes.size() - file.data_begin;
  uint64_t at = 0;
  for (const SafetensorsTensor& tensor : file.tensors) {
    if (tensor.begin != at || tensor.end > data_bytes) {
      return absl::DataLossError(absl::StrCat(
          "tensor ", Quoted(tensor.name), " is at bytes [", tensor.begin, ", ", tensor.end, ") of ",
          data_bytes, ", where [", at, ", ...) is next: a gap, an overlap or a cut"));
    }
    at = tensor.end;
  }
  if (at != data_bytes) {
    return absl::DataLossError(
        absl::StrCat("the last ", data_bytes - at, " bytes belong to no tensor"));
  }
  return file;
}

std::string SafetensorsHeader(absl::Span<const SafetensorsTensor> tensors) {
  Json header;
  header[kMetadataKey] = {{"format", "pt"}};
  for (const SafetensorsTensor& tensor : tensors) {
    header[tensor.name] = {{"dtype", tensor.dtype},
                           {"shape", tensor.shape},
                           {"data_offsets", {tensor.begin, tensor.end}}};
  }
  std::string text = header.dump();
  text.append((kLengthBytes - text.size() % kLengthBytes) % kLengthBytes, ' ');  // aligns the data
  std::string bytes;
  for (size_t i = 0; i < kLengthBytes; ++i)
    bytes.push_back(static_cast<char>(text.size() >> (8 * i) & 0xff));
  return bytes + text;
}

std::optional<DType> DTypeNamed(absl::string_view name) {
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16, DType::kI64}) {
    if (name == DTypeName(dtype)) return dtype;
  }
  return std::nullopt;
}

}  // namespace ponder::moe
