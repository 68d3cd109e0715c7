//! Compressed messages.

use flate2::{Compress, Compression, FlushCompress};
use waterwheel::http::web::websocket::WebSocketOptions;

use super::{Client, echo, frame, run};

#[test]
fn a_compressed_message_may_not_exceed_the_limit_when_it_is_decompressed() {
    run(async {
        // RFC 7692, 7.2.3.1
        let options = WebSocketOptions::new().compress().message_bytes_max(5);
        let mut client = Client::open(&options, echo).await;
        client
            .send(frame(0xc1, b"\xf2\x48\xcd\xc9\xc9\x07\x00"))
            .await;
        assert_eq!(client.frame().await, (0x81, b"Hello".to_vec()));
        client
            .send(frame(0xc1, b"\xf2\x48\xcd\xc9\xc9\x57\x04\x00"))
            .await; // Hello!
        assert_eq!(client.close().await.0, 1009);

        let mut client = Client::open(&WebSocketOptions::new().compress(), echo).await;
        client.send(frame(0xc1, b"\xff\xff")).await;
        assert_eq!(client.close().await.0, 1007);
    });
}

#[test]
fn compressed_messages_of_both_kinds_come_back() {
    run(async {
        let long = "the mill turns ".repeat(100);
        for options in [
            WebSocketOptions::new().compress(),
            WebSocketOptions::new().compress_across_messages(),
        ] {
            let mut client = Client::open(&options, echo).await;
            let mut sizes = Vec::new();
            for _ in 0..3 {
                client.send(frame(0x81, &long)).await;
                let (first, payload) = client.frame().await;
                assert_eq!(first, 0xc1);
                sizes.push(payload.len());
            }
            assert!(sizes[0] < 100, "{sizes:?}");
        }
    });
}

/// Compresses a message that may refer to the earlier ones.
fn compress_after(earlier: &str, text: &str, flush: FlushCompress) -> Vec<u8> {
    let mut compress = Compress::new(Compression::best(), false);
    if !earlier.is_empty() {
        compress.set_dictionary(earlier.as_bytes()).unwrap();
    }
    let mut bytes = Vec::with_capacity(1000);
    compress
        .compress_vec(text.as_bytes(), &mut bytes, flush)
        .unwrap();
    if flush == FlushCompress::Sync {
        assert!(bytes.ends_with(&[0, 0, 0xff, 0xff]));
        bytes.truncate(bytes.len() - 4);
    } else {
        bytes.push(0);
    }
    bytes
}

#[test]
fn a_message_may_refer_to_those_before_a_last_block() {
    run(async {
        // RFC 7692, 7.2.3.2 and 7.2.3.4
        use FlushCompress::{Finish, Sync};
        let text = "flour, bran and semolina";
        for flushes in [
            [Finish, Sync, Sync],
            [Sync, Finish, Sync],
            [Finish, Finish, Finish],
            [Sync, Sync, Finish],
        ] {
            let options = WebSocketOptions::new().compress_across_messages();
            let mut client = Client::open(&options, echo).await;
            let mut earlier = String::new();
            for flush in flushes {
                let message = compress_after(&earlier, text, flush);
                assert!(earlier.is_empty() || message.len() < 12, "{message:x?}");
                client.send(frame(0xc1, message)).await;
                let echoed = client.frame().await;
                assert_eq!(echoed, (0x81, text.as_bytes().to_vec()), "{flushes:?}");
                earlier.push_str(text);
            }
        }
    });
}

#[test]
fn a_message_of_many_last_blocks_is_refused_at_once() {
    run(async {
        let options = WebSocketOptions::new().compress_across_messages();
        let mut client = Client::open(&options, echo).await;
        let large = "flour, bran and semolina".repeat(3000);
        client.send(frame(0x81, &large)).await;
        client.frame().await;
        // Each is empty. With its window, each would cost 32 KiB of copies.
        client.send(frame(0xc1, b"\x03\x00".repeat(20_000))).await;
        assert_eq!(client.close().await.0, 1007);
    });
}

#[test]
fn a_control_frame_is_never_compressed_and_a_continuation_has_no_such_bit() {
    run(async {
        // RFC 7692, 6.1
        for frames in [
            frame(0xc9, "ping"),
            frame(0xca, "pong"),
            frame(0xc8, [3, 232]),
            [frame(0x41, [0xf2, 0x48]), frame(0xc0, [0xcd, 0xc9])].concat(),
            [frame(0x01, "a"), frame(0xc0, [0])].concat(),
        ] {
            let mut client = Client::open(&WebSocketOptions::new().compress(), echo).await;
            client.send(frames).await;
            assert_eq!(client.close().await.0, 1002);
        }
    });
}

#[test]
fn a_compressed_message_in_fragments_has_control_frames_among_them() {
    run(async {
        let mut client = Client::open(&WebSocketOptions::new().compress(), echo).await;
        client.send(frame(0x41, [0xf2, 0x48, 0xcd])).await;
        client.send(frame(0x89, "p")).await;
        client.send(frame(0x00, [])).await;
        client.send(frame(0x80, [0xc9, 0xc9, 0x07, 0x00])).await;
        assert_eq!(client.frame().await, (0x8a, b"p".to_vec()));
        assert_eq!(client.frame().await, (0x81, b"Hello".to_vec()));
    });
}
