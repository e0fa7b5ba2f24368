//! The answers of UserService.

use coupon_domain::campaign::Violation;
use coupon_domain::ports::{User, UserCreation};
use coupon_proto::v1 as pb;
use coupon_usecases::users::UserReport;

use super::coupon::coupon_page;
use super::timestamp;

pub(crate) fn user(user: User) -> pb::User {
    pb::User {
        id: user.given.id.to_string(),
        name: user.given.name,
        metadata: user.given.metadata.into_iter().collect(),
        created_at: Some(timestamp(user.created_at)),
    }
}

pub(crate) fn user_report(report: UserReport, limit: u32) -> pb::GetUserResponse {
    let UserReport { user, coupons, benefits } = report;
    let pb::ListCouponsResponse { coupons, next_page_token, counts } = coupon_page(coupons, &benefits, limit);
    pb::GetUserResponse { user: Some(self::user(user)), coupons, counts, next_page_token }
}

pub(crate) fn user_page(users: Vec<User>, limit: u32) -> pb::ListUsersResponse {
    let full = users.len() >= limit as usize;
    let next_page_token = users.last().filter(|_| full).map(|last| last.given.id.to_string()).unwrap_or_default();
    pb::ListUsersResponse { users: users.into_iter().map(user).collect(), next_page_token }
}

/// So many errors are told; the lines are counted all the same.
const MAX_ERRORS: usize = 1000;
/// Of a user's id that may be none, so much is told back.
const MAX_ID: usize = 128;

/// A user's id, or what may be none, as far as it is told back.
pub(crate) fn told_id(user: &str) -> String {
    user.chars().take(MAX_ID).collect()
}

/// What became of the lines of a CreateUsers, as they come in.
#[derive(Debug, Default)]
pub(crate) struct Lines(pb::CreateUsersResponse);

impl Lines {
    /// A line came in; answers its number, from 1 on.
    pub(crate) fn receive(&mut self) -> i64 {
        self.0.received += 1;
        self.0.received
    }

    /// What became of a line, for this user by its own account: it was registered, or it is wrong.
    pub(crate) fn settle(&mut self, line: i64, user: &str, outcome: Result<UserCreation, Vec<Violation>>) {
        let wrong = match outcome {
            Ok(UserCreation::Created(_)) => return self.0.created += 1,
            Ok(UserCreation::Unchanged(_)) => return self.0.unchanged += 1,
            Ok(UserCreation::Taken) => {
                vec![Violation::new("user.id", "is registered with another name or other metadata")]
            }
            Err(wrong) => wrong,
        };
        self.0.failed += 1;
        let room = MAX_ERRORS - self.0.errors.len();
        self.0.errors.extend(wrong.into_iter().take(room).map(|Violation { field, description }| pb::UserError {
            line,
            user_id: user.to_owned(),
            field: field.to_owned(),
            description,
        }));
    }

    /// The answer, once the last line is in.
    pub(crate) fn answer(self) -> pb::CreateUsersResponse {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_counted_and_the_first_thousand_errors_are_told() {
        let mut lines = Lines::default();
        for n in 0..600 {
            let line = lines.receive();
            let wrong = vec![Violation::new("user.id", "is required"), Violation::new("user.name", "is odd")];
            lines.settle(line, if n == 0 { "ada" } else { "" }, Err(wrong));
        }
        let answer = lines.answer();
        assert_eq!((answer.received, answer.failed, answer.errors.len()), (600, 600, 1000));
        let [first, second] = &answer.errors[..2] else { panic!("two errors: {answer:?}") };
        assert_eq!((first.line, first.user_id.as_str(), first.field.as_str()), (1, "ada", "user.id"));
        assert_eq!((second.line, second.description.as_str()), (1, "is odd"));
        assert_eq!(answer.errors[999].line, 500);
    }

    #[test]
    fn of_what_may_be_no_id_little_is_told_back() {
        assert_eq!(told_id(&"é".repeat(4000)), "é".repeat(128));
    }
}
