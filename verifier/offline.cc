#include "verifier/offline.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace ponder::verifier {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kBlock = 4096;  // lines held in memory

struct Line {
  int64_t number = 0;
  std::string text;
  absl::StatusOr<std::string> answer;  // a line of output
};

absl::StatusOr<std::string> Field(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) return absl::InvalidArgumentError(absl::StrCat("no '", name, "'"));
  if (!found->is_string()) {
    return absl::InvalidArgumentError(absl::StrCat("'", name, "' is not a string"));
  }
  return found->get<std::string>();
}

// What a grader gets to know of a line beside the response, by kind; of others "gold" alone.
struct Fields {
  absl::string_view kind;
  std::vector<const char*> names;
};
const std::vector<Fields>& FieldsByKind() {
  static const auto* const fields = new std::vector<Fields>{
      {"choice", {"gold", "options"}},    {"code", {"language", "tests", "limits"}},
      {"judge", {"question", "gold"}},    {"preference", {"messages", "reference", "check"}},
      {"puzzle", {"family", "instance"}}, {"reward", {"messages", "check"}},
  };
  return *fields;
}

// The ground truth of a line: its "gold", or a JSON object of the fields of its kind.
absl::StatusOr<std::string> Gold(absl::string_view kind, const Json& object) {
  Json parts;
  for (const Fields& fields : FieldsByKind()) {
    if (fields.kind != kind) continue;
    for (const char* name : fields.names) {
      if (object.contains(name)) parts[name] = object[name];
    }
  }
  if (parts.empty() || (parts.size() == 1 && parts.contains("gold"))) return Field(object, "gold");
  return parts.dump(-1, ' ', false, Json::error_handler_t::replace);
}

absl::StatusOr<std::string> GradeLine(const LineJudge& judge, const std::string& text) {
  const Json object = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (object.is_discarded()) return absl::InvalidArgumentError("not JSON");
  if (!object.is_object()) return absl::InvalidArgumentError("not a JSON object");
  LineQuestion question;
  PONDER_ASSIGN_OR_RETURN(question.kind, Field(object, "kind"));
  PONDER_ASSIGN_OR_RETURN(question.response, Field(object, "response"));
  PONDER_ASSIGN_OR_RETURN(question.gold, Gold(question.kind, object));
  PONDER_ASSIGN_OR_RETURN(const Verdict verdict, judge(question));
  Json answer;
  answer["id"] = object.value("id", Json());
  answer["verdict"] = OutcomeName(verdict.outcome);
  answer["detail"] = verdict.detail;
  answer["extracted"] = verdict.extracted;
  answer["reason"] = verdict.reason;
  if (verdict.score.has_value()) answer["score"] = *verdict.score;
  return answer.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void GradeBlock(const LineJudge& judge, int threads, std::vector<Line>* block) {
  std::atomic<size_t> next{0};
  const auto work = [&] {
    for (size_t i; (i = next++) < block->size();) {
      (*block)[i].answer = GradeLine(judge, (*block)[i].text);
    }
  };
  std::vector<std::thread> others;
  for (int t = 1; t < std::min<int>(threads, block->size()); ++t) others.emplace_back(work);
  work();
  for (std::thread& other : others) other.join();
}

}  // namespace

LineJudge JudgeWith(const Graders& graders) {
  return [&graders](const LineQuestion& question) -> absl::StatusOr<Verdict> {
    PONDER_ASSIGN_OR_RETURN(const Grader* grader, graders.Find(question.kind));
    return TimedGrade(*grader, {question.gold, question.response}, absl::InfiniteFuture());
  };
}

absl::StatusOr<OfflineReport> GradeLines(const LineJudge& judge, int threads, std::istream& in,
                                         std::ostream& out, std::ostream& errors) {
  OfflineReport report;
  std::vector<Line> block;
  const auto flush = [&] {
    GradeBlock(judge, threads, &block);
    for (const Line& line : block) {
      if (line.answer.ok()) {
        out << *line.answer << '\n';
        ++report.graded;
      } else {
        errors << "line " << line.number << ": " << line.answer.status().message() << '\n';
        report.broken_lines.push_back(line.number);
      }
    }
    out.flush();
    block.clear();
    return out.good();
  };
  int64_t number = 0;
  for (std::string text; std::getline(in, text);) {
    ++number;
    if (absl::StripAsciiWhitespace(text).empty()) continue;
    block.push_back({number, std::move(text), std::string()});
    if (block.size() == kBlock && !flush()) break;
  }
  if (out.good()) flush();
  if (!out.good()) return absl::UnavailableError("can't write the verdicts: is the disk full?");
  return report;
}

}  // namespace ponder::verifier
