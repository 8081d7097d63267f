// `ponder tokenize`: text to token ids, or back, by the tokenizer of a model's folder.
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data/tokenizers/tokenizer.h"
#include "deploy/commands.h"
#include "deploy/jsonl_filter.h"
#include "deploy/text_commands.h"
#include "nlohmann/json.hpp"

namespace ponder::deploy {
namespace {

struct TokenizeOptions {
  std::string model, in;
  bool special = false, decode = false, skip_special = false;
};

absl::StatusOr<std::vector<int32_t>> IdsOf(const nlohmann::ordered_json& line) {
  if (!line.contains("ids") || !line["ids"].is_array())
    return absl::InvalidArgumentError("no array under \"ids\"");
  std::vector<int32_t> ids;
  for (const nlohmann::ordered_json& id : line["ids"]) {
    if (!id.is_number_integer() || id < 0 || id > INT32_MAX)
      return absl::InvalidArgumentError(
          absl::StrCat("ids[", ids.size(), "] is ", id.dump(-1, ' ', true), ", not a token id"));
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

absl::Status RunTokenize(const TokenizeOptions& options) {
  PONDER_ASSIGN_OR_RETURN(const auto tokenizer, data::LoadTokenizer(options.model));
  const auto encode = [&](const nlohmann::ordered_json& line) -> absl::StatusOr<nlohmann::ordered_json> {
    if (!line.contains("text") || !line["text"].is_string())
      return absl::InvalidArgumentError("no string under \"text\"");
    PONDER_ASSIGN_OR_RETURN(const auto ids,
                            tokenizer->Encode(line["text"].get<std::string>(), options.special));
    return nlohmann::ordered_json{{"ids", ids}};
  };
  const auto decode = [&](const nlohmann::ordered_json& line) -> absl::StatusOr<nlohmann::ordered_json> {
    PONDER_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, IdsOf(line));
    return nlohmann::ordered_json{{"text", tokenizer->Decode(ids, options.skip_special)}};
  };
  return options.decode ? FilterJsonl(options.in, decode) : FilterJsonl(options.in, encode);
}

}  // namespace

void AddTokenizeCommand(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<TokenizeOptions>();
  CLI::App* command = app.add_subcommand("tokenize", "turn text into token ids, or back");
  command->add_option("--model", options->model, "folder with the tokenizer")->required();
  command
      ->add_option("--in", options->in,
                   "JSONL, a {\"text\": ...} a line; with --decode an {\"ids\": [...]}; -: stdin")
      ->required();
  CLI::Option* decode = command->add_flag("--decode", options->decode, "ids to text");
  command
      ->add_flag("--special", options->special, "add what the model puts around a text, e.g. BOS")
      ->excludes(decode);
  command->add_flag("--skip-special", options->skip_special, "leave special tokens out of the text")
      ->needs(decode);
  command->callback(
      [options, exit_code] { *exit_code = ReportStatus("tokenize", RunTokenize(*options)); });
}

}  // namespace ponder::deploy
