//! The service as a process of its own, which can be killed.

use std::time::Duration;

use coupon_proto::v1 as pb;
use coupon_proto::v1::campaign_service_client::CampaignServiceClient;
use coupon_proto::v1::coupon_service_client::CouponServiceClient;
use coupon_proto::v1::event_service_client::EventServiceClient;
use coupon_testkit::server::{ChildServer, free_port};
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::shop::{claim_request, eventually, redeem_request, within};

pub(crate) struct Process {
    server: ChildServer,
    /// The command without failpoints.
    plain: Vec<String>,
    address: String,
    channel: Channel,
}

impl Process {
    /// Starts the service with these arguments and waits until it answers. Its data folder goes with it.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        Self::start_by(&[env!("CARGO_BIN_EXE_coupon")], arguments).await
    }

    /// The same, as a process that stays where it is at this failpoint.
    pub(crate) async fn start_with_failpoint(failpoint: &str, arguments: &[&str]) -> Self {
        let variable = format!("FAILPOINTS={failpoint}=return");
        Self::start_by(&["env", &variable, env!("CARGO_BIN_EXE_coupon")], arguments).await
    }

    async fn start_by(program: &[&str], arguments: &[&str]) -> Self {
        let mut server = ChildServer::new().expect("a folder");
        let port = free_port().expect("a free port");
        let listen = format!("--listen=127.0.0.1:{port}");
        let data = format!("--data-dir={}", server.folder().join("data").display());
        let mut command = vec!["serve", "--ops-listen=", &listen, &data];
        command.extend(arguments);
        let plain = [env!("CARGO_BIN_EXE_coupon")].iter().chain(&command).map(ToString::to_string).collect();
        let command: Vec<_> = program.iter().chain(&command).collect();
        server.start(&command).expect("the binary starts");
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).expect("an address");
        let address = format!("127.0.0.1:{port}");
        let process = Self { server, plain, address, channel: endpoint.connect_lazy() };
        process.is_up().await;
        process
    }

    /// Waits until it is at its failpoint, kills it there, and starts it again without the failpoint.
    pub(crate) async fn kill_at_failpoint_and_start_again(&mut self) {
        eventually(|| async { self.server.log().contains("reached").then_some(()) }).await;
        self.kill();
        self.server.start(&self.plain).expect("the binary starts");
        self.is_up().await;
    }

    pub(crate) async fn is_up(&self) {
        eventually(|| async { (self.health("").await == Some(ServingStatus::Serving)).then_some(()) }).await;
    }

    /// SIGTERM, and waits for the end.
    pub(crate) async fn terminate(&mut self) {
        self.server.signal("TERM").expect("running");
        eventually(|| async { (!self.server.is_running()).then_some(()) }).await;
    }

    /// SIGKILL, if it is running.
    pub(crate) fn kill(&mut self) {
        self.server.kill().expect("the watchdog answers");
    }

    /// Starts the same again, and waits for nothing.
    pub(crate) fn launch(&mut self) {
        self.server.start_again().expect("the binary starts");
    }

    /// The same again; SIGKILL first if it is still running.
    pub(crate) async fn start_again(&mut self) {
        self.kill();
        self.launch();
        self.is_up().await;
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn data_dir(&self) -> std::path::PathBuf {
        self.server.folder().join("data")
    }

    pub(crate) fn log(&self) -> String {
        self.server.log()
    }

    pub(crate) async fn health(&self, service: &str) -> Option<ServingStatus> {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = HealthClient::new(self.channel.clone()).check(request).await;
        answer.ok().map(|answer| answer.into_inner().status())
    }

    pub(crate) fn campaigns(&self) -> CampaignServiceClient<Channel> {
        CampaignServiceClient::new(self.channel.clone())
    }

    pub(crate) fn coupons(&self) -> CouponServiceClient<Channel> {
        CouponServiceClient::new(self.channel.clone())
    }

    /// A client with a connection of its own.
    pub(crate) fn another_connection(&self) -> CouponServiceClient<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).expect("an address");
        CouponServiceClient::new(endpoint.connect_lazy())
    }

    pub(crate) fn events(&self) -> EventServiceClient<Channel> {
        EventServiceClient::new(self.channel.clone())
    }

    /// The one round of a campaign, from its gate.
    pub(crate) async fn round(&self, campaign: &str) -> pb::Round {
        let request = || pb::GetRoundRequest { campaign_id: campaign.to_owned(), round_id: String::new() };
        let asked = || async { self.campaigns().get_round(request()).await.ok()?.into_inner().round };
        eventually(asked).await
    }

    /// A campaign whose claims open in a second, by the wall's clock, and last for minutes; answers once they are open.
    pub(crate) async fn open_rush(&self, coupons: i64) -> String {
        let plan = rush(coupons, Duration::from_secs(1));
        // Of several rushes in one test each has a title of its own.
        let title = format!("rush {:?}", plan.schedule.as_ref().and_then(|schedule| schedule.start.as_ref()));
        self.open(pb::Campaign { title, ..plan }).await
    }

    /// Creates this campaign; answers once its claims are open.
    pub(crate) async fn open(&self, campaign: pb::Campaign) -> String {
        let request = pb::CreateCampaignRequest { campaign: Some(campaign), activate: true, ..Default::default() };
        let created = self.campaigns().create_campaign(request).await.expect("created").into_inner();
        let id = created.campaign.expect("a campaign").id;
        let open = || async { (self.round(&id).await.phase() == pb::RoundPhase::Claiming).then_some(()) };
        eventually(open).await;
        id
    }

    /// A round that is drawn, by the wall's clock: reservation is open and closes in so long, claims open then and last so long.
    pub(crate) async fn open_drawn_round(&self, closes_in: Duration, claims_last: Duration) -> (String, String) {
        let plan = rush(1, closes_in);
        let schedule = pb::Schedule {
            reserve_close_lead: Some(crate::shop::seconds(0)),
            claim_duration: Some(crate::shop::seconds(claims_last.as_secs().try_into().expect("short"))),
            ..plan.schedule.expect("it has one")
        };
        let campaign = pb::Campaign {
            title: format!("drawn {closes_in:?} {}", self.address),
            supply: Some(pb::Supply { rule: Some(crate::shop::a_fifth(pb::Rounding::Floor)) }),
            allocation: pb::Allocation::Draw.into(),
            reservation_required: true,
            schedule: Some(schedule),
            ..plan
        };
        let request = pb::CreateCampaignRequest { campaign: Some(campaign), activate: true, ..Default::default() };
        let created = self.campaigns().create_campaign(request).await.expect("created").into_inner();
        (created.campaign.expect("a campaign").id, created.first_round.expect("a round").id)
    }

    pub(crate) async fn reserve(&self, campaign: &str, user: &str) -> pb::ReserveResponse {
        let request = || crate::shop::reserve_request(campaign, "", user);
        eventually(|| async { Some(self.coupons().reserve(request()).await.ok()?.into_inner()) }).await
    }

    /// The answer to a claim once it is neither too early nor pending.
    pub(crate) async fn claim_once_drawn(&self, campaign: &str, user: &str) -> pb::ClaimResponse {
        let early = |answer: &pb::ClaimResponse| match &answer.outcome {
            Some(pb::claim_response::Outcome::Refusal(refusal)) => {
                matches!(refusal.reason(), pb::RefusalReason::DrawPending | pb::RefusalReason::NotOpenYet)
            }
            _ => false,
        };
        let answered = || async { self.try_claim(campaign, user).await.ok().filter(|answer| !early(answer)) };
        within(Duration::from_secs(60), answered).await
    }

    pub(crate) async fn draw(&self, campaign: &str, round: &str) -> Option<pb::GetDrawResponse> {
        let request = pb::GetDrawRequest { campaign_id: campaign.to_owned(), round_id: round.to_owned() };
        Some(self.campaigns().get_draw(request).await.ok()?.into_inner())
    }

    /// A user's ticket, from the ledger.
    pub(crate) async fn ticket(&self, campaign: &str, round: &str, user: &str) -> u32 {
        let request = pb::GetPlaceRequest {
            campaign_id: campaign.to_owned(),
            round_id: round.to_owned(),
            user_id: user.to_owned(),
        };
        let place = self.coupons().get_place(request).await.expect("a place").into_inner().place.expect("a place");
        u32::try_from(place.ticket.expect("a ticket")).expect("small")
    }

    pub(crate) async fn try_claim(&self, campaign: &str, user: &str) -> Result<pb::ClaimResponse, Status> {
        Ok(self.coupons().claim(claim_request(campaign, "", user)).await?.into_inner())
    }

    /// Claims until there is an answer, as a caller does who was told UNAVAILABLE.
    pub(crate) async fn claim(&self, campaign: &str, user: &str) -> pb::ClaimResponse {
        eventually(|| async { self.try_claim(campaign, user).await.ok() }).await
    }

    pub(crate) async fn redeem(&self, code: &str, user: &str, order: &str) -> Result<pb::RedeemResponse, Status> {
        Ok(self.coupons().redeem(redeem_request(code, user, order, 1000)).await?.into_inner())
    }

    /// A user's coupons in the ledger.
    pub(crate) async fn listed(&self, campaign: &str, user: &str) -> Option<Vec<pb::Coupon>> {
        let request =
            pb::ListCouponsRequest { user_id: user.to_owned(), campaign_id: campaign.to_owned(), ..Default::default() };
        Some(self.coupons().list_coupons(request).await.ok()?.into_inner().coupons)
    }
}

/// So long from the claim on. The usual notice goes out seven days before the end.
pub(crate) fn valid_for_days(days: i64) -> Option<pb::Validity> {
    let until = pb::validity::Until::AfterClaim(crate::shop::seconds(days * 86_400));
    Some(pb::Validity { until: Some(until) })
}

/// Without places, first come first served, claims opening so long from now.
pub(crate) fn rush(coupons: i64, opens_in: Duration) -> pb::Campaign {
    let opens = chrono::Local::now().timestamp_micros() + i64::try_from(opens_in.as_micros()).expect("soon");
    let opens = coupon_domain::time::Timestamp::from_micros(opens);
    pb::Campaign {
        schedule: Some(pb::Schedule {
            start: Some(pb::schedule::Start::Once(crate::shop::instant(opens))),
            claim_duration: Some(crate::shop::seconds(600)),
            ..Default::default()
        }),
        validity: valid_for_days(30),
        ..crate::shop::open_campaign("rush", coupons)
    }
}

/// The coupon of an answer.
pub(crate) fn coupon(answer: &pb::ClaimResponse) -> Option<&pb::Coupon> {
    match answer.outcome.as_ref()? {
        pb::claim_response::Outcome::Coupon(coupon) => Some(coupon),
        pb::claim_response::Outcome::Refusal(_) => None,
    }
}
