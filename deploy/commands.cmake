# `ponder`: one binary without LibTorch; a subcommand is a file here and a line in ponder.cc.
ponder_binary(NAME ponder
  SOURCES
    ponder.cc
    commands.cc
    actor_command.cc
    chat_template_command.cc
    config_command.cc
    data_command.cc
    eval_command.cc
    export_command.cc
    generate_command.cc
    init_command.cc
    jsonl_filter.cc
    model_folder.cc
    offline_command.cc
    model_shape.cc
    own_verifier.cc
    run.cc
    run_command.cc
    run_data.cc
    run_folder.cc
    run_summary.cc
    serve_command.cc
    score_command.cc
    stop_signal.cc
    tokenize_command.cc
  DEPS
    ponder::actor
    ponder::base
    ponder::data
    ponder::engine
    ponder::proto
    ponder::run_view
    ponder::server
    ponder::supervisor
    CLI11::CLI11)
target_compile_definitions(ponder PRIVATE PONDER_VERSION="${PROJECT_VERSION}")
