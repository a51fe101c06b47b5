// AWS SDK for Go v2: a stream in parts, ranges, special keys, presigned URLs, conditions, pages, versions.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

const mib = 1 << 20

var (
	ctx    = context.Background()
	bucket = aws.String(os.Getenv("CLIENT_BUCKET"))
	keys   []string
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func assert(claim bool, format string, details ...any) {
	if !claim {
		panic(fmt.Sprintf(format, details...))
	}
}

func noise(size int, seed int64) []byte {
	content := make([]byte, size)
	rand.New(rand.NewSource(seed)).Read(content)
	return content
}

func left(key string, content []byte) {
	digest := sha256.Sum256(content)
	line := must(json.Marshal(map[string]string{"key": key, "sha256": hex.EncodeToString(digest[:])}))
	fmt.Println("LEFT " + string(line))
}

func read(client *s3.Client, key string, span *string) []byte {
	got := must(client.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: &key, Range: span}))
	defer got.Body.Close()
	return must(io.ReadAll(got.Body))
}

// stream hides everything of a reader but Read: its length is not known.
type stream struct{ io.Reader }

func carry(client *s3.Client, prefix string) {
	big, key := noise(21*mib+17, 1), prefix+"/big"
	uploader := manager.NewUploader(client, func(u *manager.Uploader) { u.PartSize = 5 * mib })
	told := must(uploader.Upload(ctx, &s3.PutObjectInput{
		Bucket: bucket, Key: &key, Body: stream{bytes.NewReader(big)},
		ContentType: aws.String("a/b"), Metadata: map[string]string{"colour": "blue"},
	}))
	assert(strings.HasSuffix(*told.ETag, `-5"`), "ETag %s", *told.ETag)
	head := must(client.HeadObject(ctx, &s3.HeadObjectInput{
		Bucket: bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled,
	}))
	assert(*head.ContentType == "a/b" && head.Metadata["colour"] == "blue", "head %+v", head)
	assert(head.ChecksumCRC32 != nil, "no checksum")
	back := manager.NewWriteAtBuffer(nil)
	downloader := manager.NewDownloader(client, func(d *manager.Downloader) { d.PartSize = 3 * mib })
	must(downloader.Download(ctx, back, &s3.GetObjectInput{Bucket: bucket, Key: &key}))
	assert(bytes.Equal(back.Bytes(), big), "other bytes came back")
	span := fmt.Sprintf("bytes=%d-%d", 5*mib-2, 5*mib+1)
	assert(bytes.Equal(read(client, key, &span), big[5*mib-2:5*mib+2]), "a range")
	must(client.CopyObject(ctx, &s3.CopyObjectInput{
		Bucket: bucket, Key: aws.String(prefix + "/copy"), CopySource: aws.String(*bucket + "/" + key),
	}))
	left(prefix+"/copy", big)
}

func oddKeys(path, hosted *s3.Client) {
	presigner := s3.NewPresignClient(path)
	for number, key := range keys {
		body := noise(100+number, int64(number))
		must(hosted.PutObject(ctx, &s3.PutObjectInput{
			Bucket: bucket, Key: aws.String("special/" + key), Body: bytes.NewReader(body), Tagging: aws.String("a%20b=c%2Bd"),
			ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
		}))
		tags := must(path.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: bucket, Key: aws.String("special/" + key)}))
		assert(len(tags.TagSet) == 1 && *tags.TagSet[0].Key == "a b" && *tags.TagSet[0].Value == "c+d", "tags of %q", key)
		source := (&url.URL{Path: *bucket + "/special/" + key}).EscapedPath()
		source = strings.ReplaceAll(source, "+", "%2B")
		copied := aws.String("copied/" + key)
		must(path.CopyObject(ctx, &s3.CopyObjectInput{Bucket: bucket, Key: copied, CopySource: &source}))
		signed := must(presigner.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: copied}))
		answer := must(http.Get(signed.URL))
		assert(bytes.Equal(must(io.ReadAll(answer.Body)), body), "%q by URL: %s", key, answer.Status)
		answer.Body.Close()
		left(*copied, body)
	}
	pages := s3.NewListObjectsV2Paginator(path, &s3.ListObjectsV2Input{
		Bucket: bucket, Prefix: aws.String("special/"), MaxKeys: aws.Int32(2),
	})
	var found []types.ObjectIdentifier
	for pages.HasMorePages() {
		for _, entry := range must(pages.NextPage(ctx)).Contents {
			found = append(found, types.ObjectIdentifier{Key: entry.Key})
		}
	}
	assert(len(found) == len(keys), "%d keys listed", len(found))
	gone := must(path.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: bucket, Delete: &types.Delete{Objects: found}}))
	assert(len(gone.Deleted) == len(keys) && len(gone.Errors) == 0, "deleted %+v", gone)
}

// conditions has sixteen writers that each want to be first.
func conditions(client *s3.Client) {
	var group sync.WaitGroup
	var lock sync.Mutex
	first := 0
	for number := range 16 {
		group.Add(1)
		go func() {
			defer group.Done()
			_, err := client.PutObject(ctx, &s3.PutObjectInput{
				Bucket: bucket, Key: aws.String("first"), Body: strings.NewReader(fmt.Sprint(number)), IfNoneMatch: aws.String("*"),
			})
			lock.Lock()
			defer lock.Unlock()
			var refusal smithy.APIError
			if err == nil {
				first++
			} else if !errors.As(err, &refusal) ||
				refusal.ErrorCode() != "PreconditionFailed" && refusal.ErrorCode() != "ConditionalRequestConflict" {
				panic(err)
			}
		}()
	}
	group.Wait()
	assert(first == 1, "%d were first", first)
	_, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: aws.String("absent")})
	var absent *types.NoSuchKey
	assert(errors.As(err, &absent), "absent: %v", err)
}

func versions(client *s3.Client) {
	must(client.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket:                  bucket,
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	}))
	var ids []*string
	for _, text := range []string{"one", "two"} {
		told := must(client.PutObject(ctx, &s3.PutObjectInput{
			Bucket: bucket, Key: aws.String("versioned"), Body: strings.NewReader(text),
		}))
		ids = append(ids, told.VersionId)
	}
	must(client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("versioned")}))
	old := must(client.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: aws.String("versioned"), VersionId: ids[0]}))
	assert(string(must(io.ReadAll(old.Body))) == "one", "the older version")
	old.Body.Close()
	listed := must(client.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: bucket, Prefix: aws.String("versioned")}))
	assert(len(listed.Versions) == 2 && len(listed.DeleteMarkers) == 1, "versions %+v", listed)
}

func main() {
	check(json.Unmarshal([]byte(os.Getenv("CLIENT_KEYS")), &keys))
	dialer := net.Dialer{Timeout: 5 * time.Second}
	here := &http.Client{Transport: &http.Transport{
		// BUCKET.localhost is this machine, which no resolver need know.
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, _ := net.SplitHostPort(address)
			return dialer.DialContext(ctx, network, "127.0.0.1:"+port)
		},
	}}
	settings := must(config.LoadDefaultConfig(ctx))
	path := s3.NewFromConfig(settings, func(o *s3.Options) { o.UsePathStyle = true })
	hosted := s3.NewFromConfig(settings, func(o *s3.Options) {
		o.BaseEndpoint = aws.String(os.Getenv("CLIENT_VIRTUAL_URL"))
		o.HTTPClient = here
	})
	carry(path, "path")
	carry(hosted, "hosted")
	oddKeys(path, hosted)
	conditions(path)
	versions(path)
}
