import { Server, ServerCredentials, type UntypedServiceImplementation } from '@grpc/grpc-js'
import { fromJSON } from '@grpc/proto-loader'
import protobuf from 'protobufjs'
import type { Attribute, Block, NestedBlock, Schema } from './schema.ts'

/**
 * A stand-in for Google's provider that serves its schema only: the terraform CLI checks the configuration against it,
 * and simulates the rest by `mock_provider`. It does not contact any cloud.
 *
 * It implements the part of Terraform's plugin protocol, version 6, that is needed here:
 * https://developer.hashicorp.com/terraform/plugin/terraform-plugin-protocol
 */
export async function serveSchema(
  schema: Schema,
): Promise<{ readonly reattach: string; close(): void }> {
  const server = new Server({ 'grpc.max_send_message_length': -1 })
  const answer = (value: object) => (_: unknown, done: (error: null, value: object) => void) =>
    done(null, value)
  const fine = answer({})
  const definition = fromJSON(protobuf.parse(PROTOCOL, { keepCase: true }).root.toJSON(), {
    keepCase: true,
    enums: String,
  })
  const service = definition['tfplugin6.Provider'] as Parameters<Server['addService']>[0]
  const handlers: UntypedServiceImplementation = {
    GetProviderSchema: answer({
      provider: { block: blockMessage(PROVIDER) },
      resource_schemas: schemaMessages(schema.resource_schemas),
      data_source_schemas: schemaMessages(schema.data_source_schemas),
    }),
    ValidateProviderConfig: fine,
    ValidateResourceConfig: fine,
    ValidateDataResourceConfig: fine,
    ConfigureProvider: fine,
    StopProvider: fine,
  }
  server.addService(service, handlers)
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  const Addr = { Network: 'tcp', String: `127.0.0.1:${port}` }
  const plugin = { Protocol: 'grpc', ProtocolVersion: 6, Pid: process.pid, Test: true, Addr }
  return {
    reattach: JSON.stringify({ 'registry.terraform.io/hashicorp/google': plugin }),
    close: () => server.forceShutdown(),
  }
}

/** The arguments of the block `provider "google"` that are allowed here. */
const PROVIDER: Block = {
  attributes: {
    project: { type: 'string', optional: true },
    region: { type: 'string', optional: true },
    default_labels: { type: ['map', 'string'], optional: true },
  },
  block_types: {},
}

function schemaMessages(schemas: Schema['resource_schemas']) {
  return Object.fromEntries(
    Object.entries(schemas).map(([name, { block }]) => [name, { block: blockMessage(block) }]),
  )
}

function blockMessage({ attributes, block_types }: Block): object {
  return {
    attributes: Object.entries(attributes).map(
      ([name, { type, ...rest }]: [string, Attribute]) => ({
        name,
        type: Buffer.from(JSON.stringify(type)),
        ...rest,
      }),
    ),
    block_types: Object.entries(block_types).map(
      ([type_name, { nesting_mode, block, ...rest }]: [string, NestedBlock]) => ({
        type_name,
        nesting: nesting_mode.toUpperCase(),
        ...rest,
        block: blockMessage(block),
      }),
    ),
  }
}

const PROTOCOL = `
syntax = "proto3";
package tfplugin6;
message DynamicValue { bytes msgpack = 1; bytes json = 2; }
message Schema {
  message Attribute {
    string name = 1; bytes type = 2; bool required = 4; bool optional = 5; bool computed = 6;
  }
  message NestedBlock {
    enum NestingMode { INVALID = 0; SINGLE = 1; LIST = 2; SET = 3; MAP = 4; GROUP = 5; }
    string type_name = 1; Block block = 2; NestingMode nesting = 3; int64 min_items = 4; int64 max_items = 5;
  }
  message Block {
    int64 version = 1; repeated Attribute attributes = 2; repeated NestedBlock block_types = 3;
  }
  int64 version = 1;
  Block block = 2;
}
message Empty {}
message ProviderSchema {
  Schema provider = 1; map<string, Schema> resource_schemas = 2; map<string, Schema> data_source_schemas = 3;
}
message Config { string type_name = 1; DynamicValue config = 2; }
service Provider {
  rpc GetProviderSchema(Empty) returns (ProviderSchema);
  rpc ValidateProviderConfig(Config) returns (Empty);
  rpc ValidateResourceConfig(Config) returns (Empty);
  rpc ValidateDataResourceConfig(Config) returns (Empty);
  rpc ConfigureProvider(Config) returns (Empty);
  rpc StopProvider(Empty) returns (Empty);
}`
