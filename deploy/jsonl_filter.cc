#include "deploy/jsonl_filter.h"

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <iostream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/atomic_file.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace ponder::deploy {

absl::Status FilterJsonl(const std::string& path, const JsonlFunction& function) {
  std::ifstream file;
  if (path != "-") {
    file.open(path, std::ios::binary);
    if (!file) return ErrnoStatus(errno, absl::StrCat("can't read ", path));
  }
  std::istream& in = path == "-" ? std::cin : file;
  std::string line;
  for (int64_t number = 1; std::getline(in, line); ++number) {
    const std::string place = absl::StrCat(path == "-" ? "stdin" : path, ":", number);
    nlohmann::ordered_json json;
    try {
      json = nlohmann::ordered_json::parse(line);
    } catch (const nlohmann::json::exception& error) {
      const absl::string_view what = error.what();
      return absl::InvalidArgumentError(
          absl::StrCat(place, ": not JSON: ", absl::CHexEscape(what.substr(what.find("] ") + 2))));
    }
    if (!json.is_object()) return absl::InvalidArgumentError(absl::StrCat(place, ": no object"));
    absl::StatusOr<nlohmann::ordered_json> result = function(json);
    if (!result.ok()) return Annotate(result.status(), place);
    const std::string text =
        result->dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) break;
  }
  if (in.bad()) return absl::DataLossError(absl::StrCat("can't read ", path));
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
    return ErrnoStatus(errno, "can't write to stdout");
  return absl::OkStatus();
}

}  // namespace ponder::deploy
