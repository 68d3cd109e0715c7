use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use waterwheel::runtime::{block_on, spawn, time::sleep};

/// Channels of tokio, and `select!` over futures of both.
pub fn question() -> Option<u32> {
    block_on(async {
        let (questions, mut asked) = mpsc::channel::<(u32, oneshot::Sender<u32>)>(8);
        let (weather, mut forecast) = watch::channel("dry");
        spawn(async move {
            while let Some((number, answer)) = asked.recv().await {
                weather.send_replace("rain");
                if answer.send(number * 2).is_err() {
                    println!("the asker has gone");
                }
            }
        })
        .detach();

        let (answer, answered) = oneshot::channel();
        questions.send((21, answer)).await.ok()?;
        forecast.wait_for(|weather| *weather == "rain").await.ok()?;
        tokio::select! {
            answer = answered => answer.ok(),
            () = sleep(Duration::from_secs(5)) => None,
        }
    })
}
