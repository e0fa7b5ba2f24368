//! Calls that carry many users. What has arrived meanwhile is asked together; answers leave in the order of the requests.

use std::sync::Arc;

use coupon_proto::v1 as pb;
use coupon_usecases::ask::{Ask, AskMany};
use coupon_usecases::claim::Claimed;
use coupon_usecases::engine::Engine;
use coupon_usecases::error::Fault;
use coupon_usecases::reserve::Reserved;
use futures::future::join_all;
use futures::stream::iter;
use futures::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tonic::codegen::BoxStream;
use tonic::{Status, Streaming};

use crate::parse::coupon as parse;
use crate::render::coupon as render;
use crate::status;

/// Requests of one stream that are asked together at most, so that the next batch has those of other streams too.
const TOGETHER: usize = 125;
/// So many of these at once: with them a stream has the 1,000 unanswered requests that the contract allows.
const AT_ONCE: usize = 8;

/// What makes the difference between the two calls.
trait Many: Send + Sync + 'static {
    type Request: prost::Message + Default + 'static;
    type Response: Send + 'static;
    type Yes: Send;
    fn parse(request: &Self::Request) -> Result<Ask, Fault>;
    fn ask(&self, calls: &AskMany) -> impl Future<Output = Vec<Result<Self::Yes, Fault>>> + Send;
    fn answer(request: Self::Request, call: &Ask, yes: Self::Yes) -> Self::Response;
    fn fault(request: Self::Request, fault: tonic_types::pb::Status) -> Self::Response;
}

/// Coupons for many users.
pub(super) fn claims(
    engine: Arc<Engine>,
    requests: Streaming<pb::ClaimStreamRequest>,
    stopping: CancellationToken,
) -> BoxStream<pb::ClaimStreamResponse> {
    answers(Claims(engine), requests, stopping)
}

/// Places for many users.
pub(super) fn reservations(
    engine: Arc<Engine>,
    requests: Streaming<pb::ReserveStreamRequest>,
    stopping: CancellationToken,
) -> BoxStream<pb::ReserveStreamResponse> {
    answers(Reservations(engine), requests, stopping)
}

fn answers<M: Many>(
    many: M,
    requests: impl Stream<Item = Result<M::Request, Status>> + Send + 'static,
    stopping: CancellationToken,
) -> BoxStream<M::Response> {
    let (many, last) = (Arc::new(many), stopping.clone());
    let last = async move { last.is_cancelled().then(|| Err(status::stopping())) };
    let lots = requests.take_until(stopping.cancelled_owned()).ready_chunks(TOGETHER);
    let answered = lots.map(move |lot| answer(Arc::clone(&many), lot)).buffered(AT_ONCE);
    let end = futures::stream::once(last).filter_map(std::future::ready);
    Box::pin(answered.flat_map(iter).chain(end))
}

/// The answers to what has arrived; a stream that broke ends with its status.
async fn answer<M: Many>(many: Arc<M>, lot: Vec<Result<M::Request, Status>>) -> Vec<Result<M::Response, Status>> {
    let mut lot: Vec<_> = lot.into_iter().map(|request| request.map(|request| (M::parse(&request), request))).collect();
    let broken = lot.pop_if(|last| last.is_err()).and_then(Result::err).map(status::of_transport);
    let read: Vec<_> = lot.into_iter().filter_map(Result::ok).collect();
    let calls = read.iter().filter_map(|(call, _)| call.as_ref().ok());
    let mut yeses = ask_by_round(many.as_ref(), calls).await.into_iter();
    let answers = read.into_iter().map(|(call, request)| {
        let answer = call.and_then(|call| Ok((yeses.next().unwrap_or_else(|| Err(unanswered()))?, call)));
        Ok(match answer {
            Ok((yes, call)) => M::answer(request, &call, yes),
            Err(fault) => M::fault(request, status::as_message(&status::of(fault))),
        })
    });
    answers.chain(broken.map(Err)).collect()
}

/// One question for each round that is named, as a rule one in all; the answers are in the order of the calls.
async fn ask_by_round<M: Many>(many: &M, calls: impl Iterator<Item = &Ask>) -> Vec<Result<M::Yes, Fault>> {
    let mut rounds: Vec<(AskMany, Vec<usize>)> = Vec::new();
    for (index, call) in calls.enumerate() {
        let same = |(asked, _): &&mut (AskMany, _)| asked.round == call.round && asked.campaign == call.campaign;
        match rounds.iter_mut().find(same) {
            Some((asked, indices)) => {
                asked.users.push(call.user.clone());
                indices.push(index);
            }
            None => {
                let Ask { campaign, round, user } = call.clone();
                rounds.push((AskMany { campaign, round, users: vec![user] }, vec![index]));
            }
        }
    }
    let answers = join_all(rounds.iter().map(|(asked, _)| many.ask(asked))).await;
    let indices = rounds.into_iter().map(|(_, indices)| indices);
    let mut answers: Vec<_> =
        indices.zip(answers).flat_map(|(indices, answers)| indices.into_iter().zip(answers)).collect();
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

fn unanswered() -> Fault {
    Fault::internal("a request of a stream has no answer")
}

struct Claims(Arc<Engine>);

impl Many for Claims {
    type Request = pb::ClaimStreamRequest;
    type Response = pb::ClaimStreamResponse;
    type Yes = Claimed;

    fn parse(request: &Self::Request) -> Result<Ask, Fault> {
        parse::claim_of_many(request)
    }

    fn ask(&self, calls: &AskMany) -> impl Future<Output = Vec<Result<Claimed, Fault>>> + Send {
        self.0.claim_many(calls)
    }

    fn answer(request: Self::Request, call: &Ask, yes: Claimed) -> Self::Response {
        render::claimed_of_many(request.tag, call, yes)
    }

    fn fault(request: Self::Request, fault: tonic_types::pb::Status) -> Self::Response {
        use pb::claim_stream_response::Answer;
        pb::ClaimStreamResponse { tag: request.tag, answer: Some(Answer::Fault(fault)) }
    }
}

struct Reservations(Arc<Engine>);

impl Many for Reservations {
    type Request = pb::ReserveStreamRequest;
    type Response = pb::ReserveStreamResponse;
    type Yes = Reserved;

    fn parse(request: &Self::Request) -> Result<Ask, Fault> {
        parse::reservation_of_many(request)
    }

    fn ask(&self, calls: &AskMany) -> impl Future<Output = Vec<Result<Reserved, Fault>>> + Send {
        self.0.reserve_many(calls)
    }

    fn answer(request: Self::Request, call: &Ask, yes: Reserved) -> Self::Response {
        render::reserved_of_many(request.tag, call, yes)
    }

    fn fault(request: Self::Request, fault: tonic_types::pb::Status) -> Self::Response {
        use pb::reserve_stream_response::Answer;
        pb::ReserveStreamResponse { tag: request.tag, answer: Some(Answer::Fault(fault)) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::{FutureExt as _, stream};

    use super::*;

    /// Never answers.
    struct Silent;

    impl Many for Silent {
        type Request = pb::ClaimStreamRequest;
        type Response = pb::ClaimStreamResponse;
        type Yes = Claimed;

        fn parse(request: &Self::Request) -> Result<Ask, Fault> {
            Claims::parse(request)
        }

        async fn ask(&self, _calls: &AskMany) -> Vec<Result<Claimed, Fault>> {
            std::future::pending().await
        }

        fn answer(request: Self::Request, call: &Ask, yes: Claimed) -> Self::Response {
            Claims::answer(request, call, yes)
        }

        fn fault(request: Self::Request, fault: tonic_types::pb::Status) -> Self::Response {
            Claims::fault(request, fault)
        }
    }

    fn request(user: &str) -> pb::ClaimStreamRequest {
        let claim = pb::ClaimRequest { campaign_id: "c".to_owned(), round_id: String::new(), user_id: user.to_owned() };
        pb::ClaimStreamRequest { tag: String::new(), claim: Some(claim) }
    }

    #[tokio::test]
    async fn no_more_than_a_thousand_requests_are_read_before_one_is_answered() {
        let read = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&read);
        let requests = stream::iter((0..5000).map(move |n| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(request(&format!("u-{n}")))
        }));
        let mut answers = answers(Silent, requests, CancellationToken::new());
        for _ in 0..100 {
            assert!(answers.next().now_or_never().is_none());
        }
        assert_eq!(read.load(Ordering::Relaxed), TOGETHER * AT_ONCE);
    }

    #[tokio::test]
    async fn what_is_no_message_ends_the_stream_behind_the_answers_to_what_came_before() {
        let broken = Status::internal("failed to decode Protobuf message: ...");
        let requests = stream::iter([Ok(request("")), Ok(pb::ClaimStreamRequest::default()), Err(broken)]);
        let told: Vec<_> = answers(Silent, requests, CancellationToken::new()).collect().await;
        let faults: Vec<_> = told.iter().map(|answer| answer.as_ref().map(|answer| answer.answer.clone())).collect();
        let [Ok(Some(first)), Ok(Some(second)), Err(last)] = faults.as_slice() else { panic!("{faults:?}") };
        use pb::claim_stream_response::Answer;
        for (fault, field) in [(first, "user_id"), (second, "claim")] {
            let Answer::Fault(fault) = fault else { panic!("{fault:?}") };
            assert_eq!(fault.code, i32::from(tonic::Code::InvalidArgument));
            assert!(fault.message.contains(field) && !fault.details.is_empty(), "{fault:?}");
        }
        assert_eq!(last.code(), tonic::Code::InvalidArgument);
    }
}
