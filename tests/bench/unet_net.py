"""segmentation_models_pytorch's Unet over a ResNet, for machines that have torchvision only: the same layers in the same order."""
import torch
import torchvision


class Block(torch.nn.Module):
    def __init__(self, below, skip, channels):
        super().__init__()
        self.conv1 = self.layer(below + skip, channels)
        self.conv2 = self.layer(channels, channels)

    @staticmethod
    def layer(inputs, outputs):
        return torch.nn.Sequential(torch.nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), torch.nn.BatchNorm2d(outputs),
                                   torch.nn.ReLU(inplace=True))

    def forward(self, x, skip):
        x = torch.nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
        return self.conv2(self.conv1(x if skip is None else torch.cat([x, skip], dim=1)))


class Unet(torch.nn.Module):
    def __init__(self, encoder, encoder_weights=None, in_channels=3, classes=2):
        super().__init__()
        self.encoder = getattr(torchvision.models, encoder)(weights=encoder_weights)
        deepest = self.encoder.fc.in_features
        skips = [64] + [deepest >> i for i in (3, 2, 1)]
        del self.encoder.fc
        if in_channels != 3:
            self.encoder.conv1 = torch.nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        channels = (256, 128, 64, 32, 16)
        self.decoder = torch.nn.ModuleList(Block(below, skip, of) for below, skip, of in
                                           zip((deepest,) + channels, skips[::-1] + [0], channels))
        self.head = torch.nn.Conv2d(channels[-1], classes, 3, padding=1)

    def forward(self, x):
        e = self.encoder
        maps = [e.relu(e.bn1(e.conv1(x)))]
        x = e.maxpool(maps[0])
        for layer in (e.layer1, e.layer2, e.layer3, e.layer4):
            x = layer(x)
            maps.append(x)
        for block, skip in zip(self.decoder, maps[-2::-1] + [None]):
            x = block(x, skip)
        return self.head(x)
