/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is no image in a registry, by the media types of the artifact, its configuration and its one layer. */

/* A profile: the manifest as the store has it, and a tar as ImportProfile() reads it. */
#define ARTIFACT_PROFILE "application/vnd.mcp.runtime.profile.v1"
#define ARTIFACT_PROFILE_CONFIG "application/vnd.mcp.runtime.profile.manifest.v1+json"
#define ARTIFACT_PROFILE_LAYER "application/vnd.mcp.runtime.profile.layer.v1.tar"

/* A disk that BuildImage() made for Target nanos: whose it is ({"image":"sha256:...","key":HEX}), and its bytes. */
#define ARTIFACT_NANOS "application/vnd.mcp.runtime.nanos.v1"
#define ARTIFACT_NANOS_CONFIG "application/vnd.mcp.runtime.nanos.config.v1+json"
#define ARTIFACT_NANOS_LAYER "application/vnd.mcp.runtime.nanos.disk.v1.raw+zstd"
