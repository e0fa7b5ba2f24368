//! The feed of events, for those who read it and those who look after it.

use coupon_proto::v1 as pb;
use coupon_proto::v1::event_service_server::EventService;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

use super::{Services, streams};
use crate::parse::event as parse;
use crate::render::event as render;
use crate::status;

#[tonic::async_trait]
impl EventService for Services {
    type SubscribeStream = BoxStream<pb::SubscribeResponse>;

    async fn subscribe(
        &self,
        request: Request<pb::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let call = parse::subscribe(request.get_ref()).map_err(status::of)?;
        let subscription = self.engine.subscribe(call).await.map_err(status::of)?;
        Ok(Response::new(streams::subscribed(subscription, self.stopping.clone())))
    }

    async fn acknowledge(
        &self,
        request: Request<pb::AcknowledgeRequest>,
    ) -> Result<Response<pb::AcknowledgeResponse>, Status> {
        let (name, position) = parse::acknowledge(request.get_ref()).map_err(status::of)?;
        let position = self.engine.acknowledge_events(&name, position).await.map_err(status::of)?;
        Ok(Response::new(pb::AcknowledgeResponse { position }))
    }

    async fn list_subscribers(
        &self,
        _request: Request<pb::ListSubscribersRequest>,
    ) -> Result<Response<pb::ListSubscribersResponse>, Status> {
        let subscribers = self.engine.subscribers().await.map_err(status::of)?;
        Ok(Response::new(render::subscribers(subscribers)))
    }

    async fn delete_subscriber(
        &self,
        request: Request<pb::DeleteSubscriberRequest>,
    ) -> Result<Response<pb::DeleteSubscriberResponse>, Status> {
        let name = parse::delete_subscriber(request.get_ref()).map_err(status::of)?;
        self.engine.unsubscribe(&name).await.map_err(status::of)?;
        Ok(Response::new(pb::DeleteSubscriberResponse {}))
    }

    async fn list_dead_letters(
        &self,
        request: Request<pb::ListDeadLettersRequest>,
    ) -> Result<Response<pb::ListDeadLettersResponse>, Status> {
        let (outlet, after, limit) = parse::list_dead_letters(request.get_ref()).map_err(status::of)?;
        let letters = self.engine.dead_letters(&outlet, after, limit).await.map_err(status::of)?;
        Ok(Response::new(render::dead_letters(letters, limit)))
    }

    async fn replay_events(
        &self,
        request: Request<pb::ReplayEventsRequest>,
    ) -> Result<Response<pb::ReplayEventsResponse>, Status> {
        let (outlet, what) = parse::replay_events(request.get_ref()).map_err(status::of)?;
        let events = self.engine.replay(&outlet, what).await.map_err(status::of)?;
        Ok(Response::new(render::replayed(events)))
    }
}
