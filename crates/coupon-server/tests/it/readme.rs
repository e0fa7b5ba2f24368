//! What the README says is what the program does.

use coupon_grpc::status::Kind;

const README: &str = include_str!("../../../../README.md");

#[test]
fn the_table_of_statuses_is_the_programs_own() {
    let row = |kind: &Kind| {
        let code = format!("{:?}", kind.code);
        let code = code.chars().fold(String::new(), |mut text, c| {
            if c.is_uppercase() && !text.is_empty() {
                text.push('_');
            }
            text.push(c.to_ascii_uppercase());
            text
        });
        format!("| {code} | {} | {} | {} |", kind.reason, kind.when, kind.retry)
    };
    let table: Vec<_> = Kind::ALL.iter().map(row).collect();
    let table = table.join("\n");
    assert!(README.contains(&table), "the README's table should be:\n{table}");
}

#[test]
fn every_setting_is_in_the_readme() {
    use clap::CommandFactory as _;
    let command = coupon_server::cli::Cli::command();
    for argument in command.get_arguments().filter(|argument| argument.get_id() != "help") {
        let flag = argument.get_long().map(|long| format!("`--{long}`"));
        let variable = argument.get_env().map(|name| format!("`{}`", name.to_string_lossy()));
        for word in [flag, variable].into_iter().flatten() {
            assert!(README.contains(&word), "the README's table of settings lacks {word}");
        }
    }
}
