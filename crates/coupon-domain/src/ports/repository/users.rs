//! The registry of users in the ledger.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::LedgerError;
use crate::checkout::Operator;
use crate::ids::UserId;
use crate::time::Timestamp;

/// A user to be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    /// The caller's own key of the user.
    pub id: UserId,
    /// What people call them; may be empty.
    pub name: String,
    /// The caller's own labels.
    pub metadata: BTreeMap<String, String>,
}

/// A registered user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// As registered.
    pub given: NewUser,
    /// When, by the ledger's clock.
    pub created_at: Timestamp,
}

/// What became of registering a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserCreation {
    /// They are registered now.
    Created(User),
    /// They were registered with the same name and labels before.
    Unchanged(User),
    /// They were registered with another name or other labels before.
    Taken,
}

/// Registered users.
#[async_trait]
pub trait UserRepository: Send + Sync {
    /// Registers users in one transaction, each as if alone and in order; one outcome each. If any is new there is one audit record, with
    /// [`audit::of_registration`](crate::audit::of_registration).
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn create_users(&self, users: &[NewUser], by: &Operator) -> Result<Vec<UserCreation>, LedgerError>;

    /// A user.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn user(&self, id: &UserId) -> Result<Option<User>, LedgerError>;

    /// Users in order of their ids' bytes, those after `after`, at most `limit`.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn users(&self, after: Option<&UserId>, limit: u32) -> Result<Vec<User>, LedgerError>;

    /// Forgets a user's name and labels; whether there was one. The id stays in places, coupons and orders.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn delete_user(&self, id: &UserId, by: &Operator) -> Result<bool, LedgerError>;

    /// Which of these are registered, in order.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn registered(&self, users: &[UserId]) -> Result<Vec<bool>, LedgerError>;
}
