// RunView: what a person sees of a run, drawn from its metrics.jsonl and nothing else (promise 9:
// the log is the truth).
//
// On a terminal: a line for each RL step, and below them a progress bar of the stage. Elsewhere (a
// pipe, a file): plain lines, for SFT one every tenth of the way. Which records it knows:
// docs/metrics.md; others are ignored.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace ponder::deploy {

// A machine; not thread-safe. Reads the log as it grows; a last line without its end is left for
// later.
class RunView {
 public:
  struct Options {
    std::string metrics_path;  // need not exist yet
    int64_t begin = 0;         // byte of the log to begin at: after a resume, its size before
    bool terminal = false;     // draw a bar, repaint it
    bool colour = false;
    bool unicode = false;                           // a finer bar
    std::function<int()> width = [] { return 0; };  // columns to stay within; 0: no limit
  };
  // As fits stdout: is it a terminal, how wide, does it know UTF-8 (LC_ALL, LC_CTYPE, LANG), is
  // colour unwanted (NO_COLOR, TERM=dumb)?
  static Options ForStdout(const std::string& metrics_path);

  // `out` outlives the view.
  RunView(Options options, std::ostream& out);
  // Takes the bar away.
  ~RunView();
  RunView(const RunView&) = delete;
  RunView& operator=(const RunView&) = delete;

  // Shows what was appended since the last call. A log that can't be read is an error; a line that
  // isn't a JSON object is shown as what it is.
  absl::Status Update();
  // A line of text above the bar.
  void Print(absl::string_view line);

 private:
  using Json = nlohmann::json;

  void ShowLine(absl::string_view line);
  void ShowStageStart(const Json& record);
  void ShowSftStep(const Json& record);
  void ShowRlStep(const Json& record);
  void ShowStageEnd(const Json& record);
  void ShowEval(const Json& record);
  void ShowProcess(const Json& record);
  void CountStep(const Json& record);
  std::string Paint(absl::string_view colour, absl::string_view text) const;
  void EraseBar();
  void DrawBar();

  const Options options_;
  std::ostream& out_;
  int64_t offset_;           // of the first byte not yet shown
  int64_t line_number_ = 0;  // of the latest line, from `begin`

  // The stage under way; empty: none.
  std::string stage_;
  double stage_time_ = 0;  // when it began
  int64_t step_ = 0;
  int64_t steps_ = 0;                 // 0: not known
  std::vector<double> step_seconds_;  // of the latest steps
  std::string figures_;               // of the latest step, beside the bar
  std::optional<double> first_figure_,
      last_figure_;     // loss or accuracy: where it came from and got to
  std::string header_;  // of the table, as last printed
  int lines_since_header_ = 0;
  int bar_columns_ = 0;  // of the bar on the screen; 0: none
};

}  // namespace ponder::deploy
