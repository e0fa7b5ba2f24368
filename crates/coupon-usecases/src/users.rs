//! The registry of users.

use std::sync::Arc;

use coupon_domain::checkout::Operator;
use coupon_domain::ids::UserId;
use coupon_domain::ports::{CouponFilter, CouponPage, NewUser, User, UserCreation};

use crate::engine::Engine;
use crate::error::Fault;

/// A user with the coupons they hold.
#[derive(Debug, Clone)]
pub struct UserReport {
    /// As registered.
    pub user: User,
    /// The first of their coupons, and how many there are in each state.
    pub coupons: CouponPage,
    /// What those coupons are worth, in the same order.
    pub benefits: Vec<coupon_domain::benefit::Benefit>,
}

/// Users registered in one transaction at most.
pub const MAX_USERS: usize = 1000;

impl Engine {
    /// Registers a user. The same again is harmless.
    ///
    /// # Errors
    /// [`Fault::UserExists`] if the id is registered with another name or other labels.
    pub async fn create_user(&self, new: NewUser, by: &Operator) -> Result<User, Fault> {
        match self.create_users(std::slice::from_ref(&new), by).await?.pop() {
            Some(UserCreation::Created(user) | UserCreation::Unchanged(user)) => Ok(user),
            Some(UserCreation::Taken) => Err(Fault::UserExists(new.id)),
            None => Err(Fault::internal("no answer for a user")),
        }
    }

    /// Registers up to [`MAX_USERS`] users, each as if alone; one outcome each.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn create_users(&self, users: &[NewUser], by: &Operator) -> Result<Vec<UserCreation>, Fault> {
        Ok(self.stores.users.create_users(users, by).await?)
    }

    /// A user with their coupons, the first `limit` of them.
    ///
    /// # Errors
    /// [`Fault::UnknownUser`].
    pub async fn user(self: &Arc<Self>, id: UserId, limit: u32) -> Result<UserReport, Fault> {
        let user = self.stores.users.user(&id).await?.ok_or_else(|| Fault::UnknownUser(id.clone()))?;
        let filter = CouponFilter { user: Some(id), limit, ..CouponFilter::default() };
        let (coupons, benefits) = self.coupons(&filter).await?;
        Ok(UserReport { user, coupons, benefits })
    }

    /// Users in order of their ids' bytes, those after `after`.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn users(&self, after: Option<&UserId>, limit: u32) -> Result<Vec<User>, Fault> {
        Ok(self.stores.users.users(after, limit).await?)
    }

    /// Forgets a user's name and labels. The id is the caller's own key and stays in places, coupons and orders.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn delete_user(&self, id: &UserId, by: &Operator) -> Result<(), Fault> {
        self.stores.users.delete_user(id, by).await?;
        Ok(())
    }
}
