//! What operators call to say who the users are.

use coupon_domain::campaign::Violation;
use coupon_domain::checkout::Operator;
use coupon_domain::ports::NewUser;
use coupon_proto::v1 as pb;
use coupon_proto::v1::user_service_server::UserService;
use coupon_usecases::users::MAX_USERS;
use tonic::{Request, Response, Status, Streaming};
use tracing::info;

use super::Services;
use crate::parse::user as parse;
use crate::render::user as render;
use crate::render::user::{Lines, told_id};
use crate::status;

/// Coupons told with their user.
const COUPONS_OF_USER: u32 = 50;
/// A long import says how far it is each time it has come so many lines further.
const PROGRESS: i64 = 10_000;

#[tonic::async_trait]
impl UserService for Services {
    async fn create_user(
        &self,
        request: Request<pb::CreateUserRequest>,
    ) -> Result<Response<pb::CreateUserResponse>, Status> {
        let (caller, _, request) = request.into_parts();
        let (new, by) = parse::create_user(&caller, request).map_err(status::of)?;
        let user = self.engine.create_user(new, &by).await.map_err(status::of)?;
        Ok(Response::new(pb::CreateUserResponse { user: Some(render::user(user)) }))
    }

    async fn create_users(
        &self,
        request: Request<Streaming<pb::CreateUsersRequest>>,
    ) -> Result<Response<pb::CreateUsersResponse>, Status> {
        let by = parse::operator(request.metadata()).map_err(status::of)?;
        let mut messages = request.into_inner();
        let (mut lines, mut batch) = (Lines::default(), Batch::default());
        while let Some(message) = messages.message().await? {
            let line = lines.receive();
            let user = told_id(message.user.as_ref().map_or("", |user| &user.id));
            match parse::line(message) {
                Ok(user) => batch.sound.push((line, user)),
                Err(wrong) => batch.wrong.push((line, user, wrong)),
            }
            if batch.sound.len() + batch.wrong.len() == MAX_USERS {
                self.register(&mut lines, std::mem::take(&mut batch), &by).await?;
            }
            if line % PROGRESS == 0 {
                info!(lines = line, "users are being registered");
            }
        }
        self.register(&mut lines, batch, &by).await?;
        Ok(Response::new(lines.answer()))
    }

    async fn get_user(&self, request: Request<pb::GetUserRequest>) -> Result<Response<pb::GetUserResponse>, Status> {
        let id = parse::user_id(&request.get_ref().user_id).map_err(status::of)?;
        let report = self.engine.user(id, COUPONS_OF_USER).await.map_err(status::of)?;
        Ok(Response::new(render::user_report(report, COUPONS_OF_USER)))
    }

    async fn list_users(
        &self,
        request: Request<pb::ListUsersRequest>,
    ) -> Result<Response<pb::ListUsersResponse>, Status> {
        let (after, limit) = parse::list_users(request.get_ref()).map_err(status::of)?;
        let users = self.engine.users(after.as_ref(), limit).await.map_err(status::of)?;
        Ok(Response::new(render::user_page(users, limit)))
    }

    async fn delete_user(
        &self,
        request: Request<pb::DeleteUserRequest>,
    ) -> Result<Response<pb::DeleteUserResponse>, Status> {
        let (id, by) = parse::delete_user(request.metadata(), request.get_ref()).map_err(status::of)?;
        self.engine.delete_user(&id, &by).await.map_err(status::of)?;
        Ok(Response::new(pb::DeleteUserResponse {}))
    }
}

impl Services {
    /// Registers the lines gathered so far. If the stream breaks later they stay: the same lines again are harmless.
    async fn register(&self, lines: &mut Lines, batch: Batch, by: &Operator) -> Result<(), Status> {
        let (numbers, users): (Vec<_>, Vec<_>) = batch.sound.into_iter().unzip();
        let outcomes = self.engine.create_users(&users, by).await.map_err(status::of)?;
        let settled = numbers.into_iter().zip(&users).zip(outcomes);
        let settled = settled.map(|((line, user), outcome)| (line, told_id(user.id.as_str()), Ok(outcome)));
        let refused = batch.wrong.into_iter().map(|(line, user, wrong)| (line, user, Err(wrong)));
        let mut told: Vec<_> = settled.chain(refused).collect();
        told.sort_by_key(|(line, ..)| *line);
        told.into_iter().for_each(|(line, user, outcome)| lines.settle(line, &user, outcome));
        Ok(())
    }
}

/// Lines on their way. Wrong ones wait for the sound ones between them, so that they are told of in their order.
#[derive(Default)]
struct Batch {
    sound: Vec<(i64, NewUser)>,
    /// With the user that a line names, as far as it is told back.
    wrong: Vec<(i64, String, Vec<Violation>)>,
}
