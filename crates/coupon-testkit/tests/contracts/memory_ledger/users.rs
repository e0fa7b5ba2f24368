//! The registry of users.

use async_trait::async_trait;
use coupon_domain::audit;
use coupon_domain::checkout::Operator;
use coupon_domain::ids::UserId;
use coupon_domain::ports::{Clock as _, LedgerError, NewUser, User, UserCreation, UserRepository};

use super::{Fault, MemoryLedger};

#[async_trait]
impl UserRepository for MemoryLedger {
    async fn create_users(&self, users: &[NewUser], by: &Operator) -> Result<Vec<UserCreation>, LedgerError> {
        let (mut books, now) = (self.books(), self.clock.now());
        let outcomes = users.iter().map(|new| match books.users.get(&new.id) {
            Some(there) if there.given == *new => UserCreation::Unchanged(there.clone()),
            Some(_) => UserCreation::Taken,
            None => {
                let user = User { given: new.clone(), created_at: now };
                books.users.insert(new.id.clone(), user.clone());
                UserCreation::Created(user)
            }
        });
        let outcomes: Vec<_> = outcomes.collect();
        let record = audit::of_registration(&outcomes, by, now).filter(|_| !self.does(Fault::KeepsNoAudit));
        books.audits.extend(record);
        Ok(outcomes)
    }

    async fn user(&self, id: &UserId) -> Result<Option<User>, LedgerError> {
        Ok(self.books().users.get(id).cloned())
    }

    async fn users(&self, after: Option<&UserId>, limit: u32) -> Result<Vec<User>, LedgerError> {
        let books = self.books();
        let later = books.users.values().filter(|user| after.is_none_or(|after| user.given.id > *after));
        Ok(later.take(limit as usize).cloned().collect())
    }

    async fn delete_user(&self, id: &UserId, by: &Operator) -> Result<bool, LedgerError> {
        let mut books = self.books();
        let found = books.users.remove(id).is_some();
        if (found || self.does(Fault::AuditsRepeats)) && !self.does(Fault::KeepsNoAudit) {
            books.audits.push(audit::of_deletion(id, by, self.clock.now()));
        }
        Ok(found)
    }

    async fn registered(&self, users: &[UserId]) -> Result<Vec<bool>, LedgerError> {
        let (books, mut users) = (self.books(), users.to_vec());
        if self.does(Fault::TellsRegisteredOutOfOrder) {
            users.sort();
        }
        Ok(users.iter().map(|user| books.users.contains_key(user)).collect())
    }
}
