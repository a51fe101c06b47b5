import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.S3Configuration;
import software.amazon.awssdk.services.s3.model.BucketVersioningStatus;
import software.amazon.awssdk.services.s3.model.ChecksumAlgorithm;
import software.amazon.awssdk.services.s3.model.NoSuchKeyException;
import software.amazon.awssdk.services.s3.model.ObjectIdentifier;
import software.amazon.awssdk.services.s3.model.S3Exception;
import software.amazon.awssdk.services.s3.model.S3Object;
import software.amazon.awssdk.services.s3.presigner.S3Presigner;
import software.amazon.awssdk.transfer.s3.S3TransferManager;

/** AWS SDK for Java 2.x: transfers in parts, ranges, special keys, presigned URLs, conditions, pages, versions. */
public final class Main {
    static final int MIB = 1 << 20;
    static final String BUCKET = System.getenv("CLIENT_BUCKET");
    static final URI ENDPOINT = URI.create(System.getenv("AWS_ENDPOINT_URL"));
    static final Path FOLDER = Path.of(System.getenv("CLIENT_FOLDER"));

    static void require(boolean claim, String what) {
        if (!claim) {
            throw new AssertionError(what);
        }
    }

    static byte[] noise(int size, long seed) {
        byte[] content = new byte[size];
        new Random(seed).nextBytes(content);
        return content;
    }

    static String json(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char each : text.toCharArray()) {
            out.append(each == '"' || each == '\\' || each > 126 ? String.format("\\u%04x", (int) each) : each);
        }
        return out.append('"').toString();
    }

    static void left(String key, byte[] content) throws Exception {
        String digest = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
        System.out.println("LEFT {\"key\": " + json(key) + ", \"sha256\": \"" + digest + "\"}");
    }

    /** The list of strings that the JSON in an environment variable is. */
    static List<String> keys() {
        List<String> found = new ArrayList<>();
        StringBuilder now = null;
        String text = System.getenv("CLIENT_KEYS");
        for (int at = 0; at < text.length(); at++) {
            char each = text.charAt(at);
            if (now == null) {
                now = each == '"' ? new StringBuilder() : null;
            } else if (each == '"') {
                found.add(now.toString());
                now = null;
            } else if (each == '\\' && text.charAt(at + 1) == 'u') {
                now.append((char) Integer.parseInt(text.substring(at + 2, at + 6), 16));
                at += 5;
            } else {
                now.append(each == '\\' ? text.charAt(++at) : each);
            }
        }
        return found;
    }

    static void carry(S3Client s3) throws Exception {
        byte[] big = noise(21 * MIB + 17, 1);
        Path file = FOLDER.resolve("big");
        Files.write(file, big);
        try (S3AsyncClient async = S3AsyncClient.builder()
                        .endpointOverride(ENDPOINT)
                        .forcePathStyle(true)
                        .multipartEnabled(true)
                        .multipartConfiguration(parts -> parts.minimumPartSizeInBytes(5L * MIB).thresholdInBytes(8L * MIB))
                        .build();
                S3TransferManager transfers = S3TransferManager.builder().s3Client(async).build()) {
            transfers.uploadFile(up -> up.source(file).putObjectRequest(
                            put -> put.bucket(BUCKET).key("big").contentType("a/b").metadata(Map.of("colour", "blue"))))
                    .completionFuture().join();
            transfers.downloadFile(down -> down.destination(FOLDER.resolve("back"))
                            .getObjectRequest(get -> get.bucket(BUCKET).key("big")))
                    .completionFuture().join();
            require(Arrays.equals(Files.readAllBytes(FOLDER.resolve("back")), big), "other bytes came back");
            transfers.copy(copy -> copy.copyObjectRequest(
                            to -> to.sourceBucket(BUCKET).sourceKey("big").destinationBucket(BUCKET).destinationKey("copy")))
                    .completionFuture().join();
            async.putObject(put -> put.bucket(BUCKET).key("async"), AsyncRequestBody.fromBytes(big)).join();
        }
        var head = s3.headObject(ask -> ask.bucket(BUCKET).key("big"));
        require(head.contentType().equals("a/b") && head.metadata().equals(Map.of("colour", "blue")), head.toString());
        require(head.eTag().matches("\"[0-9a-f]{32}-[0-9]+\""), head.eTag());
        String span = "bytes=" + (5 * MIB - 2) + "-" + (5 * MIB + 1);
        byte[] part = s3.getObjectAsBytes(get -> get.bucket(BUCKET).key("big").range(span)).asByteArray();
        require(Arrays.equals(part, Arrays.copyOfRange(big, 5 * MIB - 2, 5 * MIB + 2)), "a range");
        left("copy", big);
        left("async", big);
    }

    static void oddKeys(S3Client s3) throws Exception {
        List<String> keys = keys();
        HttpClient web = HttpClient.newHttpClient();
        S3Configuration style = S3Configuration.builder().pathStyleAccessEnabled(true).build();
        try (S3Presigner presigner =
                S3Presigner.builder().endpointOverride(ENDPOINT).serviceConfiguration(style).build()) {
            for (String key : keys) {
                byte[] body = noise(1000, key.hashCode());
                s3.putObject(
                        put -> put.bucket(BUCKET).key("special/" + key).tagging("a%20b=c%2Bd")
                                .checksumAlgorithm(ChecksumAlgorithm.CRC32_C),
                        RequestBody.fromBytes(body));
                var tags = s3.getObjectTagging(get -> get.bucket(BUCKET).key("special/" + key)).tagSet();
                require(tags.size() == 1 && tags.get(0).key().equals("a b") && tags.get(0).value().equals("c+d"), key);
                s3.copyObject(copy -> copy.sourceBucket(BUCKET).sourceKey("special/" + key)
                        .destinationBucket(BUCKET).destinationKey("copied/" + key));
                URI url = presigner.presignGetObject(sign -> sign.signatureDuration(Duration.ofMinutes(1))
                                .getObjectRequest(get -> get.bucket(BUCKET).key("copied/" + key)))
                        .url().toURI();
                var answer = web.send(HttpRequest.newBuilder(url).build(), HttpResponse.BodyHandlers.ofByteArray());
                require(Arrays.equals(answer.body(), body), "by URL: " + key + " " + answer.statusCode());
                left("copied/" + key, body);
            }
        }
        var found = s3.listObjectsV2Paginator(list -> list.bucket(BUCKET).prefix("special/").maxKeys(2))
                .contents().stream().map(S3Object::key).toList();
        require(new HashSet<>(found).equals(new HashSet<>(keys.stream().map(key -> "special/" + key).toList())), "keys");
        var doomed = found.stream().map(key -> ObjectIdentifier.builder().key(key).build()).toList();
        require(s3.deleteObjects(all -> all.bucket(BUCKET).delete(d -> d.objects(doomed))).deleted().size() == keys.size(),
                "deletions");
    }

    /** Of sixteen writers that each want to be first, one is. */
    static void conditions(S3Client s3) {
        long first = IntStream.range(0, 16).parallel().filter(number -> {
            try {
                s3.putObject(put -> put.bucket(BUCKET).key("first").ifNoneMatch("*"), RequestBody.fromString("" + number));
                return true;
            } catch (S3Exception refusal) {
                require(refusal.statusCode() == 412 || refusal.statusCode() == 409, refusal.toString());
                return false;
            }
        }).count();
        require(first == 1, first + " were first");
        try {
            s3.getObject(get -> get.bucket(BUCKET).key("absent"));
            throw new AssertionError("an absent key was found");
        } catch (NoSuchKeyException expected) {
            require(expected.statusCode() == 404, expected.toString());
        }
    }

    static void versions(S3Client s3) {
        s3.putBucketVersioning(put -> put.bucket(BUCKET)
                .versioningConfiguration(to -> to.status(BucketVersioningStatus.ENABLED)));
        String one = s3.putObject(put -> put.bucket(BUCKET).key("versioned"), RequestBody.fromString("one")).versionId();
        s3.putObject(put -> put.bucket(BUCKET).key("versioned"), RequestBody.fromString("two"));
        s3.deleteObject(gone -> gone.bucket(BUCKET).key("versioned"));
        require(s3.getObjectAsBytes(get -> get.bucket(BUCKET).key("versioned").versionId(one)).asUtf8String().equals("one"),
                "the older version");
        var listed = s3.listObjectVersions(list -> list.bucket(BUCKET).prefix("versioned"));
        require(listed.versions().size() == 2 && listed.deleteMarkers().size() == 1, listed.toString());
    }

    public static void main(String[] arguments) throws Exception {
        try (S3Client s3 = S3Client.builder().endpointOverride(ENDPOINT).forcePathStyle(true).build()) {
            carry(s3);
            oddKeys(s3);
            conditions(s3);
            versions(s3);
        }
    }
}
