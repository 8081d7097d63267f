#include "deploy/run_view.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "base/atomic_file.h"

namespace ponder::deploy {
namespace {

using Json = nlohmann::json;

constexpr absl::string_view kBold = "\x1b[1m";
constexpr absl::string_view kDim = "\x1b[2m";
constexpr absl::string_view kGreen = "\x1b[32m";
constexpr absl::string_view kYellow = "\x1b[33m";
constexpr absl::string_view kRed = "\x1b[31m";
constexpr absl::string_view kCyan = "\x1b[36m";
constexpr absl::string_view kPlain = "\x1b[0m";

constexpr int kLinesPerHeader = 20;
constexpr size_t kStepsTimed = 10;  // the time left is guessed from that many

std::optional<double> Number(const Json& record, const char* key) {
  const auto it = record.find(key);
  if (it == record.end() || !it->is_number()) return std::nullopt;
  return it->get<double>();
}

int64_t Integer(const Json& record, const char* key) {
  return std::llround(Number(record, key).value_or(0));
}

// What came from outside, e.g. the last words of a process: control characters must not reach the
// terminal.
std::string Text(const Json& record, const char* key) {
  const auto it = record.find(key);
  std::string text = it != record.end() && it->is_string() ? it->get<std::string>() : "";
  std::replace_if(
      text.begin(), text.end(), [](char c) { return absl::ascii_iscntrl(c); }, ' ');
  return text;
}

std::string Percent(std::optional<double> x) {
  return x.has_value() ? absl::StrFormat("%.1f%%", 100 * *x) : "-";
}

std::string Fixed(std::optional<double> x, int digits) {
  return x.has_value() ? absl::StrFormat("%.*f", digits, *x) : "-";
}

// 9.4k, 1.2M
std::string Rate(std::optional<double> x) {
  if (!x.has_value()) return "-";
  if (*x >= 1e6) return absl::StrFormat("%.1fM", *x / 1e6);
  if (*x >= 1e3) return absl::StrFormat("%.1fk", *x / 1e3);
  return absl::StrFormat("%.0f", *x);
}

// 0, 2.4e-07
std::string Tiny(std::optional<double> x) {
  if (!x.has_value()) return "-";
  return *x == 0 ? "0" : absl::StrFormat("%.1e", *x);
}

// 8.2s, 4:10, 1:02:33
std::string Span(double seconds) {
  if (seconds < 60) return absl::StrFormat("%.1fs", seconds);
  const int64_t s = std::llround(seconds);
  return s < 3600 ? absl::StrFormat("%d:%02d", s / 60, s % 60)
                  : absl::StrFormat("%d:%02d:%02d", s / 3600, s / 60 % 60, s % 60);
}

std::string StepOf(int64_t step, int64_t steps) {
  return steps > 0 ? absl::StrCat(step, "/", steps) : absl::StrCat(step);
}

// The columns of an RL step, the dearest first: a narrow terminal loses those at the end.
struct Column {
  const char* header;
  int width;
  std::string (*text)(const Json& record);
};
constexpr Column kColumns[] = {
    {"step", 9, [](const Json& r) { return StepOf(Integer(r, "step"), Integer(r, "steps")); }},
    {"reward", 8, [](const Json& r) { return Fixed(Number(r, "reward"), 3); }},
    {"accuracy", 9, [](const Json& r) { return Percent(Number(r, "accuracy")); }},
    {"length", 7, [](const Json& r) { return Fixed(Number(r, "response_tokens"), 1); }},
    {"entropy", 8, [](const Json& r) { return Fixed(Number(r, "entropy"), 3); }},
    {"KL", 8, [](const Json& r) { return Fixed(Number(r, "kl"), 4); }},
    {"clip", 6, [](const Json& r) { return Percent(Number(r, "clip_fraction")); }},
    {"tok/s", 7, [](const Json& r) { return Rate(Number(r, "tokens_per_s")); }},
    {"gap max", 9, [](const Json& r) { return Tiny(Number(r, "logprob_gap_max")); }},
    {"time", 7,
     [](const Json& r) {
       const auto seconds = Number(r, "seconds");
       return seconds.has_value() ? Span(*seconds) : "-";
     }},
    {"grad", 7, [](const Json& r) { return Fixed(Number(r, "grad_norm"), 2); }},
    {"stale", 6, [](const Json& r) { return Fixed(Number(r, "staleness_max"), 0); }},
    {"flat", 5, [](const Json& r) { return Fixed(Number(r, "degenerate_groups"), 0); }},
};

// One line of the table that stays within `width` columns.
template <typename Cell>
std::string TableLine(int width, Cell cell) {
  std::string line;
  for (const Column& column : kColumns) {
    if (width > 0 && static_cast<int>(line.size()) + column.width > width) break;
    absl::StrAppendFormat(&line, "%*s", column.width, cell(column));
  }
  return line;
}

}  // namespace

RunView::Options RunView::ForStdout(const std::string& metrics_path) {
  const auto variable = [](const char* name) -> absl::string_view {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
  };
  Options options;
  options.metrics_path = metrics_path;
  options.terminal = isatty(STDOUT_FILENO) == 1 && variable("TERM") != "dumb";
  options.colour = options.terminal && variable("NO_COLOR").empty();
  absl::string_view locale;
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    if (locale.empty()) locale = variable(name);
  }
  options.unicode =
      absl::EndsWithIgnoreCase(locale, "utf-8") || absl::EndsWithIgnoreCase(locale, "utf8");
  if (options.terminal) {
    options.width = [] {
      winsize size{};
      return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
    };
  }
  return options;
}

RunView::RunView(Options options, std::ostream& out)
    : options_(std::move(options)), out_(out), offset_(options_.begin) {}

RunView::~RunView() {
  EraseBar();
  out_.flush();
}

absl::Status RunView::Update() {
  const int fd = open(options_.metrics_path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return absl::OkStatus();
  if (fd < 0) return ErrnoStatus(errno, absl::StrCat("can't open ", options_.metrics_path));
  const absl::Cleanup closer = [fd] { close(fd); };
  std::string text;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t n = pread(fd, buffer, sizeof(buffer), offset_ + text.size());
    if (n < 0) return ErrnoStatus(errno, absl::StrCat("can't read ", options_.metrics_path));
    if (n == 0) break;
    text.append(buffer, n);
  }
  size_t begin = 0;
  for (size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    ++line_number_;
    ShowLine(absl::string_view(text).substr(begin, end - begin));
  }
  offset_ += begin;
  DrawBar();
  return absl::OkStatus();
}

void RunView::Print(absl::string_view line) {
  EraseBar();
  out_ << std::string(line) << "\n";
  DrawBar();
}

void RunView::ShowLine(absl::string_view line) {
  const Json record = Json::parse(line.begin(), line.end(), nullptr, /*allow_exceptions=*/false);
  if (!record.is_object()) {
    EraseBar();
    out_ << Paint(kYellow,
                  absl::StrCat(options_.metrics_path, ":", line_number_, " is not a JSON object"))
         << "\n";
    return;
  }
  const std::string event = Text(record, "event");
  EraseBar();
  if (event == "stage_start") {
    ShowStageStart(record);
  } else if (event == "sft_step") {
    ShowSftStep(record);
  } else if (event == "rl_step") {
    ShowRlStep(record);
  } else if (event == "stage_end") {
    ShowStageEnd(record);
  } else if (event == "eval") {
    ShowEval(record);
  } else if (event == "process") {
    ShowProcess(record);
  } else if (event == "startup") {
    const std::string name = Text(record, "name");
    out_ << Paint(kDim,
                  absl::StrCat(name, name.empty() ? "" : ": ",
                               absl::StrReplaceAll(Text(record, "what"), {{"_", " "}}), " after ",
                               Span(Number(record, "time").value_or(0) - stage_time_)))
         << "\n";
  }
}

void RunView::ShowStageStart(const Json& record) {
  stage_ = Text(record, "stage");
  stage_time_ = Number(record, "time").value_or(0);
  step_ = 0;
  steps_ = Integer(record, "steps");
  step_seconds_.clear();
  figures_.clear();
  first_figure_.reset();
  last_figure_.reset();
  lines_since_header_ = 0;
  if (!options_.terminal) out_ << stage_ << ": " << steps_ << " steps\n";
}

void RunView::CountStep(const Json& record) {
  step_ = Integer(record, "step");
  if (step_seconds_.size() == kStepsTimed) step_seconds_.erase(step_seconds_.begin());
  if (const auto seconds = Number(record, "seconds")) step_seconds_.push_back(*seconds);
}

void RunView::ShowSftStep(const Json& record) {
  const int64_t before = step_;
  CountStep(record);
  last_figure_ = Number(record, "loss");
  if (!first_figure_.has_value()) first_figure_ = last_figure_;
  figures_ = absl::StrCat("loss ", Fixed(last_figure_, 3), "  ",
                          Rate(Number(record, "tokens_per_s")), " tok/s");
  const bool a_tenth_more = steps_ <= 0 || step_ * 10 / steps_ != before * 10 / steps_;
  if (options_.terminal || (!a_tenth_more && before > 0)) return;
  out_ << absl::StrFormat("%s %9s  lr %s  %s\n", stage_, StepOf(step_, steps_),
                          Tiny(Number(record, "lr")), figures_);
}

void RunView::ShowRlStep(const Json& record) {
  CountStep(record);
  if (steps_ == 0) steps_ = Integer(record, "steps");
  last_figure_ = Number(record, "accuracy");
  if (!first_figure_.has_value()) first_figure_ = last_figure_;
  figures_ = absl::StrCat("accuracy ", Percent(last_figure_));
  const int width = options_.width();
  const std::string header = TableLine(width, [](const Column& c) { return c.header; });
  if (lines_since_header_ % kLinesPerHeader == 0 || header != header_) {
    out_ << Paint(kDim, header) << "\n";
    header_ = header;
    lines_since_header_ = 0;
  }
  ++lines_since_header_;
  out_ << TableLine(width, [&record](const Column& c) { return c.text(record); }) << "\n";
}

void RunView::ShowStageEnd(const Json& record) {
  std::string line = absl::StrCat(Paint(kBold, stage_), ": ", step_, " steps in ",
                                  Span(Number(record, "seconds").value_or(0)));
  if (stage_ == "sft" && last_figure_.has_value()) {
    absl::StrAppend(&line, ", loss ", Fixed(first_figure_, 3), " -> ", Fixed(last_figure_, 3));
  } else if (last_figure_.has_value()) {
    absl::StrAppend(&line, ", accuracy ", Percent(first_figure_), " -> ", Percent(last_figure_));
  }
  out_ << line << "\n";
  stage_.clear();
}

void RunView::ShowEval(const Json& record) {
  const std::string accuracy = absl::StrCat("accuracy ", Percent(Number(record, "accuracy")));
  out_ << absl::StrFormat("held-out %s: %s, greedy %s (%d prompts, %d samples each)\n",
                          absl::StrReplaceAll(Text(record, "name"), {{"_", " "}}),
                          Paint(kGreen, accuracy), Percent(Number(record, "greedy")),
                          Integer(record, "prompts"), Integer(record, "samples"));
}

void RunView::ShowProcess(const Json& record) {
  const std::string name = Text(record, "name"), what = Text(record, "what");
  const std::string cause = Text(record, "cause");
  std::string line = absl::StrCat(name, " ", absl::StrReplaceAll(what, {{"_", " "}}));
  // A cause that begins with the name needs it only once.
  if (!cause.empty()) {
    absl::StrAppend(&line, ": ", absl::StripPrefix(cause, absl::StrCat(name, " ")));
  }
  const bool trouble = what == "died" || what == "gave_up";
  const absl::string_view colour = trouble ? kRed : what == "restarted" ? kYellow : kDim;
  out_ << Paint(colour, line) << "\n";
}

std::string RunView::Paint(absl::string_view colour, absl::string_view text) const {
  return options_.colour ? absl::StrCat(colour, text, kPlain) : std::string(text);
}

// "rl ━━━━━━━━━━╸───────── 37/120  accuracy 62.5%  2:54 left", as much of it as fits.
void RunView::DrawBar() {
  if (!options_.terminal || stage_.empty() || steps_ <= 0) {
    out_.flush();
    return;
  }
  EraseBar();
  std::vector<std::string> parts = {StepOf(step_, steps_)};
  if (!figures_.empty()) parts.push_back(figures_);
  if (!step_seconds_.empty()) {
    const double mean = std::accumulate(step_seconds_.begin(), step_seconds_.end(), 0.0) /
                        static_cast<double>(step_seconds_.size());
    parts.push_back(absl::StrCat(
        Span(mean * static_cast<double>(std::max<int64_t>(steps_ - step_, 0))), " left"));
  }
  constexpr int kNarrowest = 10, kWidest = 40;
  const int width = options_.width() > 0 ? options_.width() : 80;
  const auto beside = [this, &parts] {
    return static_cast<int>(stage_.size() + absl::StrJoin(parts, "  ").size()) + 4;
  };
  while (parts.size() > 1 && beside() + kNarrowest >= width) parts.pop_back();
  const int cells = std::clamp(width - 1 - beside(), kNarrowest, kWidest);
  const double share =
      std::clamp(static_cast<double>(step_) / static_cast<double>(steps_), 0.0, 1.0);
  const int halves = static_cast<int>(share * 2 * cells);
  std::string done, rest;
  for (int i = 0; i < cells; ++i) {
    if (2 * i + 1 < halves) {
      done += options_.unicode ? "━" : "=";
    } else if (2 * i < halves) {
      done += options_.unicode ? "╸" : "-";
    } else {
      rest += options_.unicode ? "─" : ".";
    }
  }
  bar_columns_ = beside() + cells;
  out_ << Paint(kBold, stage_) << "  " << Paint(kCyan, done) << Paint(kDim, rest) << "  "
       << absl::StrJoin(parts, "  ");
  out_.flush();
}

// Also when the terminal has become narrower since and has broken the bar into several rows.
void RunView::EraseBar() {
  if (bar_columns_ == 0) return;
  const int width = std::max(1, options_.width() > 0 ? options_.width() : bar_columns_);
  const int rows = (bar_columns_ + width - 1) / width;
  out_ << "\r";
  if (rows > 1) out_ << "\x1b[" << rows - 1 << "A";
  out_ << "\x1b[J";
  bar_columns_ = 0;
}

}  // namespace ponder::deploy
